import { ofArchives } from './archive-flags.ts'
import { ofBuildah } from './buildah-flags.ts'
import type { ForeignFlag, ForeignValue } from './flag-row.ts'
import { ofImageCommands } from './image-flags.ts'
import { ofKaniko } from './kaniko-flags.ts'
import { ofRoots } from './root-flags.ts'
import { ofTransfers } from './transfer-flags.ts'

export type OwnedFlag = ForeignFlag & { readonly tool: string }

/**
 * Flags of other programs by the command of ours, with whose they are: a further command is a line here. Loaded only when a
 * command line is wrong.
 */
export const foreignFlags: Readonly<Record<string, readonly OwnedFlag[]>> = {
  build: [...owned('kaniko', ofKaniko), ...owned('buildah and podman', ofBuildah), ...owned('docker', ofRoots)],
  pull: owned('buildah and podman', ofTransfers.pull),
  push: owned('buildah and podman', ofTransfers.push),
  copy: owned('skopeo', ofArchives.copy),
  save: owned('podman', ofArchives.save),
  import: owned('podman', ofArchives.import),
  images: owned('buildah and podman', ofImageCommands.images),
  inspect: owned('docker and podman', ofImageCommands.inspect),
  rmi: owned('buildah and podman', ofImageCommands.rmi),
  du: owned('docker', ofImageCommands.du),
  prune: owned('docker', ofImageCommands.prune),
  'system prune': owned('docker', ofImageCommands['system prune']),
  'buildx ls': owned('docker', ofImageCommands['buildx ls']),
}

/** Values of flags of ours, by command. */
export const foreignValues: Readonly<Record<string, readonly ForeignValue[]>> = {
  build: [
    // A weight of processors is a number.
    { typed: ['-c'], when: /\D/, as: ['--context={}'], tool: 'kaniko' },
    {
      typed: ['--isolation'],
      when: /^oci$/,
      as: ['--isolation=auto'],
      tool: 'buildah and podman',
      shown: '--isolation oci',
    },
  ],
}

function owned(tool: string, flags: readonly ForeignFlag[]): readonly OwnedFlag[] {
  return flags.map((flag) => ({ tool, ...flag }))
}
