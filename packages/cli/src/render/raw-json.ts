import type { BuildWarning, ProgressEvent } from '@ts-oci/builder'
import type { Renderer } from './types.ts'
import { jsonText } from './terminal-text.ts'

/** One JSON object a line, with the members of BuildKit's `SolveStatus`. */
export function rawJsonRenderer(write: (text: string) => void): Renderer {
  return {
    event: (event) => write(`${jsonText(solveStatus(event))}\n`),
    finish: () => undefined,
  }
}

function solveStatus(event: ProgressEvent): object {
  switch (event.type) {
    case 'vertex': {
      const { id, inputs, name, startedMs, completedMs, cached, error } = event
      return {
        vertexes: [{ digest: id, inputs, name, started: iso(startedMs), completed: iso(completedMs), cached, error }],
      }
    }
    case 'status': {
      const { id, vertex, text, current, total, startedMs, completedMs } = event
      const timestamp = iso(completedMs ?? Date.now())
      return {
        statuses: [
          { id, vertex, name: text, total, current, timestamp, started: iso(startedMs), completed: iso(completedMs) },
        ],
      }
    }
    case 'log': {
      // Go writes bytes in JSON as base64; streams are numbered as descriptors.
      const data = Buffer.from(event.data).toString('base64')
      return {
        logs: [
          { vertex: event.vertex, stream: event.stream === 'stdout' ? 1 : 2, data, timestamp: iso(event.timestampMs) },
        ],
      }
    }
    case 'warning':
      return { warnings: [{ vertex: event.vertex, level: 1, ...warningMembers(event.warning) }] }
  }
}

function warningMembers({ rule, message, detail, url, location }: BuildWarning): object {
  const short = Buffer.from(rule === '' ? message : `${rule}: ${message}`).toString('base64')
  const range = location && [
    {
      start: { line: location.startLine, character: location.startColumn - 1 },
      end: { line: location.endLine, character: location.endColumn - 1 },
    },
  ]
  return { short, detail: detail && [Buffer.from(detail).toString('base64')], url, range }
}

function iso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}
