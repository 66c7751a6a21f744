import { digestSelectors } from '../view/content-digest.ts'
import type { LayerHandle, LayerReader } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { OpsEnvironment } from './environment.ts'
import type { ContentSelector } from '../view/types.ts'

/** Digest of what selectors choose from a chain of layers: the second key of a COPY --from or a read-only mount. */
export async function digestLayerPaths(
  environment: { readonly forms: LayerReader } & Pick<OpsEnvironment, 'jobs'>,
  layers: readonly LayerHandle[],
  selectors: readonly ContentSelector[],
): Promise<Digest> {
  const { forms, jobs } = environment
  return digestSelectors(await forms.view(layers), selectors, async (entries) => {
    const resolved = await forms.resolveContents(entries)
    return jobs.run(
      'hashFiles',
      { sources: resolved.map((entry) => ({ source: entry.content!, size: entry.size })) },
      resolved.some((entry) => entry.content?.kind === 'tree'),
    )
  })
}
