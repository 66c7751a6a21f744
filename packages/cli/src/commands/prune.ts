import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { PruneOutcome } from '@ts-oci/builder'
import { splitOnce } from '../build/csv.ts'
import { defineCommand } from '../define-command.ts'
import { prune } from '../flags.ts'
import { ellipsis } from '../render/ids.ts'
import { renderTable } from '../render/table.ts'
import { humanSize, parseDuration } from '../render/units.ts'
import type { CommandIo } from '../command-io.ts'
import { UsageError } from '../usage-error.ts'

const idLength = 12
const leastDescription = 30
/** Of a pipe, which has no width. */
const defaultColumns = 120

export const PruneCommand = defineCommand(prune, async ({ flags }, io) => {
  const olderThanMs = parseFilters(flags.filter)
  if (!flags.force && !(await isConfirmed(flags.all, io))) return io.signal.aborted ? 1 : 0
  const library = await import('@ts-oci/builder')
  const outcome = await library.prune({ store: flags.store, all: flags.all, olderThanMs, signal: io.signal })
  if (outcome.removed.length > 0) io.stdout.write(tableOf(outcome.removed, io.stdout.columns))
  io.stdout.write(`Total:\t${humanSize(outcome.reclaimedBytes)}\n`)
  return 0
})

const head = ['ID', 'RECLAIMABLE', 'SIZE']

/** A line for each; the description has what a line of the terminal leaves it. */
function tableOf(removed: PruneOutcome['removed'], columns: number = defaultColumns): string {
  const cells = removed.map(({ id, sizeBytes }) => [cacheId(id), 'true', humanSize(sizeBytes)])
  const start = renderTable([head, ...cells].map((row) => [...row, ''])).indexOf('\n')
  const room = Math.max(leastDescription, columns - start)
  const rows = removed.map(({ description }, index) => [
    ...(cells[index] ?? []),
    ellipsis(description.replaceAll(/\s+/g, ' ').trim(), room),
  ])
  return renderTable([[...head, 'DESCRIPTION'], ...rows])
}

/** Keys and digests as the ids of images; a cache mount has the id that its Dockerfile gave it. */
function cacheId(id: string): string {
  return /^[a-z0-9]+:[0-9a-f]{64}$/.test(id) ? id.slice(id.indexOf(':') + 1).slice(0, idLength) : id
}

function parseFilters(filters: readonly string[]): number | undefined {
  let olderThanMs: number | undefined
  for (const filter of filters) {
    const [name, value = ''] = splitOnce(filter, '=')
    const durationMs = parseDuration(value)
    if (name !== 'until' || durationMs === undefined) {
      throw new UsageError(`--filter ${filter} is not supported`, { hint: 'only until=DURATION, as in until=24h' })
    }
    olderThanMs = durationMs
  }
  return olderThanMs
}

async function isConfirmed(all: boolean, io: CommandIo): Promise<boolean> {
  const what = all ? 'all build cache' : 'all dangling build cache'
  const reader = createInterface({ input: io.stdin, output: io.terminal })
  // On a terminal readline keeps Ctrl-C to itself.
  reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const question = `WARNING! This will remove ${what}. Are you sure you want to continue? [y/N] `
    // The end of the input answers nothing, and a question of readline would wait for ever: that is a no.
    const ended = once(reader, 'close').then(() => '\n')
    const answer = await Promise.race([reader.question(question, { signal: io.signal }), ended])
    if (answer === '\n') io.stderr.write(answer)
    return /^y(es)?$/i.test(answer.trim())
  } catch (error) {
    if (io.signal.aborted) return false
    throw error
  } finally {
    reader.close()
  }
}
