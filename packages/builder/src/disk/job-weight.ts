import type { LayerJobs, SizedSource } from './job-types.ts'
import type { LayerEntry } from '../view/types.ts'

/**
 * Jobs are synchronous: while one runs here nobody hears Ctrl-C, and no other step's output is read. From this much
 * work on (0.2 to 0.7 s, by the disk) that is worse than the 40 ms that a thread takes to start, or the 60 ms of the executor's process for file jobs.
 */
const LARGE_BYTES = 128 * 1024 * 1024
/** What an entry costs beside its bytes: 100,000 small files are large too. */
const ENTRY_BYTES = 1300

/** Whether a job is long enough for a thread or process of its own. */
export function isLargeJob(name: keyof LayerJobs, input: unknown): boolean {
  return weigh(name, input) >= LARGE_BYTES
}

function weigh(name: keyof LayerJobs, input: unknown): number {
  switch (name) {
    case 'pack':
    case 'materialize':
    case 'writePlainTree': {
      const { entries } = input as { readonly entries: readonly LayerEntry[] }
      return entries.reduce((sum, entry) => sum + entry.size, entries.length * ENTRY_BYTES)
    }
    // A cache mount, of a size that nobody knows.
    case 'packTree':
      return LARGE_BYTES
    case 'extract':
      return (input as { readonly sizeBytes?: number }).sizeBytes ?? 0
    case 'hashFiles':
      return (input as { readonly sources: readonly SizedSource[] }).sources.reduce(
        (sum, source) => sum + source.size,
        0,
      )
    case 'compareFiles':
      return (input as { readonly pairs: readonly { readonly a: SizedSource }[] }).pairs.reduce(
        (sum, { a }) => sum + 2 * a.size,
        0,
      )
    default:
      return 0
  }
}

/** The directories of build contexts from which a job reads. */
export function contextRoots(input: unknown): ReadonlySet<string> {
  const {
    entries = [],
    sources = [],
    pairs = [],
  } = input as {
    readonly entries?: readonly Pick<LayerEntry, 'content'>[]
    readonly sources?: readonly SizedSource[]
    readonly pairs?: readonly { readonly a: SizedSource; readonly b: SizedSource }[]
  }
  const roots = new Set<string>()
  const add = (content: LayerEntry['content']): unknown => content?.kind === 'context' && roots.add(content.root)
  for (const { content } of entries) add(content)
  for (const { source } of [...sources, ...pairs.flatMap(({ a, b }) => [a, b])]) add(source)
  return roots
}
