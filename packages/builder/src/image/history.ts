import { compareTimes, formatTime, normalizeTime } from '../oci/go-json.ts'
import { countLayers } from '../oci/history.ts'
import type { HistoryEntry } from '../oci/types.ts'

/** What a history needs to know of a layer. */
export interface HistoryLayer {
  /** When its content was made, milliseconds of the Unix epoch: a cached layer keeps its time. */
  readonly createdMs: number
  /** What made it, for a history that has no entry for it. */
  readonly description: string
}

/** Comment of the entries that no frontend has written. */
const EXPORTER_COMMENT = 'buildkit.exporter.image.v0'

/**
 * Gives every entry of a history its time, as BuildKit's image exporter does: an entry with a layer gets the layer's;
 * of the others the first run gets the first time after it (the last one there is, if none comes after), each later
 * one the time before it. Layers without an entry get one.
 */
export function completeHistory(
  history: readonly HistoryEntry[],
  layers: readonly HistoryLayer[],
): readonly HistoryEntry[] {
  return fillTimes(addLayerTimes(addMissing(withoutExcess(history, layers.length), layers), layers))
}

/** A history that speaks of more layers than there are: the upper ones count as empty. */
function withoutExcess(history: readonly HistoryEntry[], layerCount: number): readonly HistoryEntry[] {
  let found = 0
  return history.map((entry) => {
    if (entry.empty_layer === true || found++ < layerCount) return entry
    return { ...entry, empty_layer: true }
  })
}

function addMissing(history: readonly HistoryEntry[], layers: readonly HistoryLayer[]): readonly HistoryEntry[] {
  const missing = layers.slice(countLayers(history)).map((layer) => ({
    created: formatTime(layer.createdMs),
    created_by: layer.description === '' ? 'created by buildkit' : layer.description,
    comment: EXPORTER_COMMENT,
  }))
  return [...history, ...missing]
}

function addLayerTimes(history: readonly HistoryEntry[], layers: readonly HistoryLayer[]): readonly HistoryEntry[] {
  let index = 0
  return history.map((entry) => {
    if (entry.empty_layer === true) return entry
    const layer = layers[index++]
    return entry.created !== undefined || layer === undefined
      ? entry
      : { ...entry, created: formatTime(layer.createdMs) }
  })
}

function fillTimes(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  const firstEmpty = history.findIndex((entry) => entry.created === undefined)
  if (firstEmpty < 0) return history
  const after = history.slice(firstEmpty).find((entry) => entry.created !== undefined)?.created
  let created = after ?? history.findLast((entry) => entry.created !== undefined)?.created
  return history.map((entry, index) => {
    if (index < firstEmpty) return entry
    if (entry.created !== undefined) {
      created = entry.created
      return entry
    }
    return created === undefined ? entry : { ...entry, created }
  })
}

/**
 * No entry later than the epoch (SOURCE_DATE_EPOCH), except those that came with the base and are as they were there.
 * `epoch` is RFC 3339; `original` is the base's part of the history before times were filled in.
 */
export function clampHistory(
  history: readonly HistoryEntry[],
  epoch: string,
  original: readonly HistoryEntry[],
): readonly HistoryEntry[] {
  const firstChanged = history.findIndex(
    (entry, index) => index >= original.length || entry.created !== original[index]?.created,
  )
  return history.map((entry, index) => {
    if (firstChanged < 0 || index < firstChanged) return entry
    const isLate = entry.created === undefined || compareTimes(entry.created, epoch) > 0
    return isLate ? { ...entry, created: epoch } : entry
  })
}

/** `created` of the config: the last time in the history. */
export function lastTime(history: readonly HistoryEntry[]): string | undefined {
  return history.findLast((entry) => entry.created !== undefined)?.created
}

/** Times of a base in Go's spelling; one that is no time is dropped. */
export function normalizeHistory(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return history.map(({ created, ...rest }) => {
    const time = created === undefined ? undefined : normalizeTime(created)
    return time === undefined ? rest : { ...rest, created: time }
  })
}
