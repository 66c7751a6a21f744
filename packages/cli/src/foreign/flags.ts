import { ofBuildah } from './buildah-flags.ts'
import type { ForeignFlag } from './flag-row.ts'
import { ofKaniko } from './kaniko-flags.ts'
import { ofRoots } from './root-flags.ts'

/** Flags of other builders, with whose they are. Loaded only when a command line has a flag that is not ours. */
export const foreignFlags: readonly (ForeignFlag & { readonly tool: string })[] = [
  ...ofKaniko.map((flag) => ({ tool: 'kaniko', ...flag })),
  ...ofBuildah.map((flag) => ({ tool: 'buildah and podman', ...flag })),
  ...ofRoots.map((flag) => ({ tool: 'docker', ...flag })),
]
