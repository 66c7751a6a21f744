import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { splitOnce } from '../build/csv.ts'
import { defineCommand } from '../define-command.ts'
import { prune } from '../flags.ts'
import { renderTable } from '../render/table.ts'
import { humanSize, parseDuration } from '../render/units.ts'
import type { Session } from '../session.ts'
import { UsageError } from '../usage-error.ts'

export const PruneCommand = defineCommand(prune, async ({ flags }, session) => {
  const olderThanMs = parseFilters(flags.filter)
  if (!flags.force && !(await isConfirmed(flags.all, session))) return session.signal.aborted ? 1 : 0
  const library = await import('@ts-oci/builder')
  const outcome = await library.prune({ store: flags.store, all: flags.all, olderThanMs, signal: session.signal })
  const rows = outcome.removed.map(({ id, sizeBytes, description }) => [id, 'true', humanSize(sizeBytes), description])
  if (rows.length > 0) session.stdout.write(renderTable([['ID', 'RECLAIMABLE', 'SIZE', 'DESCRIPTION'], ...rows]))
  session.stdout.write(`Total:\t${humanSize(outcome.reclaimedBytes)}\n`)
  return 0
})

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

async function isConfirmed(all: boolean, session: Session): Promise<boolean> {
  const what = all ? 'all build cache' : 'all dangling build cache'
  const reader = createInterface({ input: session.stdin, output: session.stderr })
  try {
    const question = `WARNING! This will remove ${what}. Are you sure you want to continue? [y/N] `
    // The end of the input answers nothing, and a question of readline would wait for ever: that is a no.
    const ended = once(reader, 'close').then(() => '')
    const answer = await Promise.race([reader.question(question, { signal: session.signal }), ended])
    return /^y(es)?$/i.test(answer.trim())
  } catch (error) {
    if (session.signal.aborted) return false
    throw error
  } finally {
    reader.close()
  }
}
