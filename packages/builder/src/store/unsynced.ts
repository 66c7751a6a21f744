import { randomBytes } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'
import type { LayerRecord } from './types.ts'

/**
 * The files of a layer that may not be on the disk yet. A rename is seen at once, by rows too, but when the power fails
 * the row may have reached the disk and the bytes not: such files count in the boot that wrote them, or after a sync.
 * So no layer waits for the disk, and one `syncfs` before an image is named is enough for all of them.
 */
export interface Unsynced {
  readonly boot: string
  /** Another one with each change: a sync speaks for what it found, and not for what came while it ran. */
  readonly token: string
  readonly tar: boolean
  readonly table: boolean
  readonly blobs: readonly Digest[]
}

/** What can be relied on of a row. */
export function dropUnsynced(record: LayerRecord, unsynced: Unsynced | undefined, boot: () => string): LayerRecord {
  if (unsynced === undefined || unsynced.boot === boot()) return record
  return {
    ...record,
    hasTar: record.hasTar && !unsynced.tar,
    hasTable: record.hasTable && !unsynced.table,
    blobs: record.blobs.filter(({ descriptor }) => !unsynced.blobs.includes(descriptor.digest)),
  }
}

export interface AddedForms {
  /** What could be relied on before. */
  readonly existing: LayerRecord | undefined
  readonly added: LayerRecord
  /** Of the row as it stands. */
  readonly former: Unsynced | undefined
  readonly boot: string
  /** Its table was written since, whether it had one before or not. */
  readonly isTableWritten: boolean
}

/** Undefined when nothing is to be synced. */
export function addUnsynced({ existing, added, former, boot, isTableWritten }: AddedForms): Unsynced | undefined {
  const ours = former?.boot === boot ? former : undefined
  const known = new Set(existing?.blobs.map(({ descriptor }) => descriptor.digest))
  const blobs = added.blobs.flatMap(({ descriptor }) => (known.has(descriptor.digest) ? [] : [descriptor.digest]))
  const tar = added.hasTar && existing?.hasTar !== true
  const table = added.hasTable && (existing?.hasTable !== true || isTableWritten)
  if (!tar && !table && blobs.length === 0) return ours
  return {
    boot,
    token: randomBytes(8).toString('hex'),
    tar: tar || ours?.tar === true,
    table: table || ours?.table === true,
    blobs: [...(ours?.blobs ?? []), ...blobs],
  }
}
