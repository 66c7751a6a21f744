import { digestSelectors } from '../view/content-digest.ts'
import type { LayerHandle, LayerReader } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { OpsEnvironment } from './environment.ts'
import type { SizedSource } from '../disk/job-types.ts'
import type { HeadedFile } from '../view/shared-digest.ts'
import type { ContentSelector } from '../view/types.ts'

type Parts = { readonly forms: LayerReader } & Pick<OpsEnvironment, 'jobs'>

/** Digest of what selectors choose from a chain of layers: the second key of a COPY --from or a read-only mount. */
export async function digestLayerPaths(
  parts: Parts,
  layers: readonly LayerHandle[],
  selectors: readonly ContentSelector[],
): Promise<Digest> {
  const view = await parts.forms.view(layers)
  return digestSelectors(view, selectors, (files) =>
    hashFiles(
      parts,
      files.map((entry) => ({ entry })),
    ),
  )
}

/** The same by BuildKit's rules. */
export async function sharedDigestsOfLayers(
  parts: Parts,
  layers: readonly LayerHandle[],
  selectors: readonly ContentSelector[],
): Promise<readonly Digest[]> {
  const { sharedDigests } = await import('../view/shared-digest.ts')
  const view = await parts.forms.view(layers)
  return sharedDigests(view, selectors, (files) => hashFiles(parts, files), { isContext: false })
}

async function hashFiles(
  { forms, jobs }: Parts,
  files: readonly (Pick<HeadedFile, 'entry'> & Partial<HeadedFile>)[],
): Promise<readonly Digest[]> {
  const resolved = await forms.resolveContents(files.map(({ entry }) => entry))
  const sources = resolved.map((entry, index): SizedSource => {
    const { head } = files[index]!
    return { source: entry.content!, size: entry.size, ...(head && { head }) }
  })
  const isOnDisk = resolved.some((entry) => entry.content?.kind === 'tree')
  return jobs.run('hashFiles', { sources }, isOnDisk)
}
