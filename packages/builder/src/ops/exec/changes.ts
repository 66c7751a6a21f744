import type { Executor } from '@ts-oci/runtime'
import type { WalkUpperOutput } from '../../disk/job-types.ts'
import { diffUpper } from '../../disk/upper.ts'
import type { LayerEntry, View } from '../../view/types.ts'
import type { LayerReader } from '../../layers/types.ts'
import type { OpsEnvironment } from '../environment.ts'

/** The entries that a step added, changed or removed: what it wrote, compared with what lay below. */
export async function collectChanges(
  environment: { readonly forms: LayerReader } & Pick<OpsEnvironment, 'jobs'>,
  executor: Executor,
  written: WalkUpperOutput,
  lower: View,
): Promise<readonly LayerEntry[]> {
  const { forms, jobs } = environment
  return diffUpper({
    upper: written,
    lower,
    compare: async (pairs) => {
      const resolved = await forms.resolveContents(pairs.flatMap((pair) => [pair.lower, pair.upper]))
      const sized = resolved.map((entry) => ({ source: entry.content!, size: entry.size }))
      return jobs.run(
        'compareFiles',
        { pairs: pairs.map((_, index) => ({ a: sized[2 * index]!, b: sized[2 * index + 1]! })) },
        true,
      )
    },
  })
}
