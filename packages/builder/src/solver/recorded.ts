import type { CacheCandidate } from '../cache/types.ts'
import { createOutcome } from './outcome.ts'
import { runOnce, type OneRun } from './run-once.ts'
import type { RecordedOptions, RecordedWork, Telling } from './run-vertex.ts'
import type { Result } from './types.ts'
import type { VertexOutcome } from './vertex-keys.ts'

/** Runs vertices that leave records, each once for all builds that need it at the same time. */
export interface RecordedVertices {
  /** Of a vertex whose record was found, or whose results were made just now. */
  outcome(work: RecordedWork, known: CacheCandidate | readonly Result[]): VertexOutcome
  runOnce<Found>(run: OneRun<Found>): Promise<Found | readonly Result[]>
}

export function createRecordedVertices(options: RecordedOptions): RecordedVertices {
  return {
    outcome: (work, known) => recordedOutcome(options, work, known),
    runOnce: (run) => runOnce(options, run),
  }
}

function recordedOutcome(
  options: RecordedOptions,
  work: RecordedWork,
  known: CacheCandidate | readonly Result[],
): VertexOutcome {
  const { vertex, inputs, own, shared } = work
  const found = isCandidate(known) ? known : undefined
  const find = (joinedKey = own.key): readonly Result[] | undefined => {
    // Another build may have made it anew meanwhile; what only a cache from elsewhere has is not under the store's key.
    const { tree } = options.runContext(vertex).demand
    const layers = options.cache.get(joinedKey)?.layers(vertex.digest) ?? found?.layers(vertex.digest, tree)
    return layers && [{ kind: 'layers', layers }]
  }
  // Records without content are those whose layers nobody needed to be written, or that were pruned.
  const make = async (): Promise<readonly Result[]> => {
    try {
      // A record that never had files is of a vertex whose files lie in its inputs: a COPY that nobody wrote.
      const telling = (): Telling => {
        if (options.cache.get(own.key)?.hasContent === false) return { isQuiet: true }
        const isKeyAlone = found?.origin !== undefined && !found.hasContent
        return { missReason: isKeyAlone ? `${found.origin} has its key, not its files` : 'its files are gone' }
      }
      return await runOnce(options, { work, lockKey: own.key, find, telling })
    } catch (cause) {
      throw options.failed(vertex, cause)
    }
  }
  const keys = found === undefined || found.key === own.key ? [own.key] : [own.key, found.key]
  const results = isCandidate(known) ? {} : { results: known }
  return createOutcome({ keys, cached: found !== undefined, shared, inputs, ...results, find, make })
}

export function isCandidate(known: CacheCandidate | readonly Result[]): known is CacheCandidate {
  return !Array.isArray(known)
}
