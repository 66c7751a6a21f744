import { digestSelectors } from '../view/content-digest.ts'
import type { LayerHandle, LayerReader } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { OpsEnvironment } from './environment.ts'
import type { SizedSource } from '../disk/job-types.ts'
import type { HeadedFile } from '../view/shared-digest.ts'
import type { ContentSelector } from '../view/types.ts'

/** Digest of what selectors choose from a chain of layers: the second key of a COPY --from or a read-only mount. */
export async function digestLayerPaths(
  environment: { readonly forms: LayerReader } & Pick<OpsEnvironment, 'jobs'>,
  layers: readonly LayerHandle[],
  selectors: readonly ContentSelector[],
  rules: 'own' | 'shared' = 'own',
): Promise<Digest> {
  const { forms, jobs } = environment
  const hash = async (files: readonly (Pick<HeadedFile, 'entry'> & Partial<HeadedFile>)[]) => {
    const resolved = await forms.resolveContents(files.map(({ entry }) => entry))
    const sources = resolved.map((entry, index): SizedSource => {
      const { head } = files[index]!
      return { source: entry.content!, size: entry.size, ...(head && { head }) }
    })
    const isOnDisk = resolved.some((entry) => entry.content?.kind === 'tree')
    return jobs.run('hashFiles', { sources }, isOnDisk)
  }
  const view = await forms.view(layers)
  if (rules === 'own') return digestSelectors(view, selectors, (files) => hash(files.map((entry) => ({ entry }))))
  const { sharedDigest } = await import('../view/shared-digest.ts')
  return sharedDigest(view, selectors, hash, { isContext: false })
}
