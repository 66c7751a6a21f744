import { normalizeTime } from './go-json.ts'
import type { HistoryEntry } from './types.ts'

/** How many layers a history speaks of. */
export function countLayers(history: readonly HistoryEntry[]): number {
  return history.filter((entry) => entry.empty_layer !== true).length
}

/** Checks a history entry that came from outside; undefined when it is no object. */
export function readHistoryEntry(value: unknown): HistoryEntry | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const raw = value as Record<string, unknown>
  const created = typeof raw['created'] === 'string' ? normalizeTime(raw['created']) : undefined
  return {
    ...(created === undefined ? {} : { created }),
    ...text(raw, 'created_by'),
    ...text(raw, 'author'),
    ...text(raw, 'comment'),
    ...(raw['empty_layer'] === true ? { empty_layer: true } : {}),
  }
}

function text(raw: Record<string, unknown>, key: 'created_by' | 'author' | 'comment'): HistoryEntry {
  return typeof raw[key] === 'string' && raw[key] !== '' ? { [key]: raw[key] } : {}
}

/** Members in the order of image-spec's Go type; empty ones absent. */
export function orderHistoryEntry(entry: HistoryEntry): HistoryEntry {
  const { created, created_by, author, comment, empty_layer } = entry
  return {
    created,
    created_by: created_by === '' ? undefined : created_by,
    author: author === '' ? undefined : author,
    comment: comment === '' ? undefined : comment,
    empty_layer: empty_layer === true ? true : undefined,
  }
}
