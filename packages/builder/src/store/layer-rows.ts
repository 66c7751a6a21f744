import type { DiffID } from '../oci/digest.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import { treesOf } from './tree-sync.ts'
import type { LayerBlob, LayerRecord, TreeForm } from './types.ts'
import { dropUnsynced, type Unsynced } from './unsynced.ts'

/** Places that are remembered for a layer, the last named first: a base that is followed by digest names a new one each week. */
const MAX_REFERENCES = 16

/** Writes the row of a layer, in place of another. */
export function replaceRow(metadata: Metadata, record: LayerRecord, unsynced: Unsynced | undefined): void {
  metadata.run(
    `INSERT INTO layers (id, diff_id, tar_size, created_ms, description, remote, blobs, has_tar, tree, has_table, unsynced)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET diff_id = excluded.diff_id, tar_size = excluded.tar_size,
     created_ms = excluded.created_ms, description = excluded.description, remote = excluded.remote, blobs = excluded.blobs,
     has_tar = excluded.has_tar, tree = excluded.tree, has_table = excluded.has_table, unsynced = excluded.unsynced`,
    record.id,
    record.diffId ?? null,
    record.tarSizeBytes ?? null,
    record.createdMs,
    record.description,
    record.remote === undefined ? null : JSON.stringify(record.remote),
    JSON.stringify(record.blobs),
    Number(record.hasTar),
    record.trees === undefined ? null : JSON.stringify(record.trees),
    Number(record.hasTable),
    unsynced === undefined ? null : JSON.stringify(unsynced),
  )
}

export function fromRow(row: Row, bootId: () => string): LayerRecord {
  // A tree that was not synced may lack what a crash of the machine kept from the disk.
  const trees = treesOf(row).filter((tree) => tree.synced || tree.bootId === bootId())
  const record: LayerRecord = {
    id: text(row, 'id'),
    createdMs: number(row, 'created_ms'),
    description: text(row, 'description'),
    blobs: json<readonly LayerBlob[]>(row, 'blobs'),
    hasTar: row['has_tar'] === 1,
    hasTable: row['has_table'] === 1,
    ...(row['diff_id'] === null ? {} : { diffId: text(row, 'diff_id') as DiffID }),
    ...(row['tar_size'] === null ? {} : { tarSizeBytes: number(row, 'tar_size') }),
    ...(row['remote'] === null ? {} : { remote: json<NonNullable<LayerRecord['remote']>>(row, 'remote') }),
    ...(trees.length === 0 ? {} : { trees }),
  }
  return dropUnsynced(record, unsyncedOf(row), bootId)
}

export function unsyncedOf(row: Row): Unsynced | undefined {
  return row['unsynced'] === null ? undefined : json<Unsynced>(row, 'unsynced')
}

export function isAtHand({ hasTar, blobs, trees, remote }: LayerRecord): boolean {
  return hasTar || blobs.length > 0 || trees !== undefined || remote !== undefined
}

/** What the two know together. The time of the first stands: it is in histories already. */
export function mergeForms(existing: LayerRecord, added: LayerRecord): LayerRecord {
  const known = new Set(existing.blobs.map((blob) => blob.descriptor.digest))
  const diffId = existing.diffId ?? added.diffId
  const tarSizeBytes = existing.tarSizeBytes ?? added.tarSizeBytes
  const trees = mergeTrees(existing.trees, added.trees)
  const remote = mergeRemotes(existing.remote, added.remote)
  return {
    id: existing.id,
    createdMs: existing.createdMs,
    description: existing.description === '' ? added.description : existing.description,
    blobs: [...existing.blobs, ...added.blobs.filter((blob) => !known.has(blob.descriptor.digest))],
    hasTar: existing.hasTar || added.hasTar,
    hasTable: existing.hasTable || added.hasTable,
    ...(diffId === undefined ? {} : { diffId }),
    ...(tarSizeBytes === undefined ? {} : { tarSizeBytes }),
    ...(remote === undefined ? {} : { remote }),
    ...(trees === undefined ? {} : { trees }),
  }
}

/** What was added replaces one of its kind. */
function mergeTrees(existing: LayerRecord['trees'], added: LayerRecord['trees']): LayerRecord['trees'] {
  if (existing === undefined || added === undefined) return added ?? existing
  const isReplaced = (tree: TreeForm): boolean =>
    added.some(
      // Of images there is one at a time.
      ({ xattrs, owners, image }) =>
        xattrs === tree.xattrs && owners === tree.owners && (image === undefined) === (tree.image === undefined),
    )
  return [...existing.filter((tree) => !isReplaced(tree)), ...added]
}

function mergeRemotes(existing: LayerRecord['remote'], added: LayerRecord['remote']): LayerRecord['remote'] {
  if (existing === undefined || added === undefined) return added ?? existing
  if (existing.descriptor.digest !== added.descriptor.digest) return added
  return {
    descriptor: existing.descriptor,
    references: [...new Set([...added.references, ...existing.references])].slice(0, MAX_REFERENCES),
  }
}
