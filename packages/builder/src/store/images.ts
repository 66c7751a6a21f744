import { isDeepStrictEqual } from 'node:util'
import { isTsOciError } from '../base/errors.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { formatReference, parseReference, repositoryOf, withDefaultTag } from '../oci/reference.ts'
import { imageId, isIndexRecord } from './image-id.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import type { ImageRecord, ImageRecords, StoredImage } from './types.ts'

const NO_NAME = '<none>@'
/** What the columns of the first image leave out, where the name leads to an index; as JSON. */
interface Platforms {
  readonly digest: Digest
  readonly more: readonly StoredImage[]
}

/** {@link imageId} of a row; the expression of the index `images_id`. */
const ID = "(CASE WHEN platforms IS NULL THEN config_digest ELSE json_extract(platforms, '$.digest') END)"

/**
 * Names of the rows in which a digest stands as that of a manifest, of an index, or of one of several images. Each by its
 * index: SQLite scans the table for an OR.
 */
const WITH_DIGEST = `SELECT name FROM images WHERE manifest_digest = ?1 UNION ALL
  SELECT name FROM images WHERE platforms IS NOT NULL AND EXISTS (SELECT 1 FROM json_tree(platforms) WHERE atom = ?1)`

/** @internal Rows of images that have a name: two ranges of the primary key, however many have none. */
export const NAMED: string = `SELECT * FROM images WHERE name < '${NO_NAME}' UNION ALL SELECT * FROM images WHERE name >= '<none>A' ORDER BY name`

const BY_ID_ELSEWHERE = `SELECT 1 FROM images WHERE ${ID} = ? AND name <> ?`
const BY_DIGEST = `SELECT * FROM images WHERE name IN (SELECT name FROM images WHERE config_digest = ?1 UNION ALL ${WITH_DIGEST})
  ORDER BY ${ID} = ?1 DESC, platforms IS NULL DESC, name DESC LIMIT 1`
const BY_PIN = `SELECT * FROM images WHERE name IN (${WITH_DIGEST} UNION ALL SELECT name FROM images
  WHERE repo_digests <> '[]' AND EXISTS (SELECT 1 FROM json_each(repo_digests) WHERE json_each.value = ?2))
  ORDER BY platforms IS NULL DESC, name`
const BY_PREFIX = `SELECT *, ${ID} AS id FROM images WHERE ${ID} >= ?1 AND ${ID} < ?1 || 'g' ORDER BY name DESC`
/** @internal What a build asks: none of it may go through all rows. */
export const imageQueries: readonly string[] = [NAMED, BY_ID_ELSEWHERE, BY_DIGEST, BY_PIN, BY_PREFIX]

/** A shorter prefix of an id finds too much. */
const ID_PREFIX = /^(?:sha256:)?([0-9a-f]{2,64})$/

/** True for the row of an image without a name. */
export function isDangling(name: string): boolean {
  return name.startsWith(NO_NAME)
}

export interface ImageRecordsOptions {
  readonly metadata: Metadata
  /** Rewrites `index.json`; runs once, before the transaction that changed a name commits. */
  readonly project: () => void
  /** Takes in what another tool has added to `index.json`, before it is rewritten. */
  readonly takeNew: () => void
  /** Brings the files of these layers to the disk, where somebody has yet to. */
  readonly settle: (layerIds: readonly string[]) => void
}

/** Rows of named images. */
export function createImageRecords({ metadata, project, takeNew, settle }: ImageRecordsOptions): ImageRecords {
  function get(name: string): ImageRecord | undefined {
    const row = metadata.get('SELECT * FROM images WHERE name = ?', name)
    return row === undefined ? undefined : fromRow(row)
  }

  /** @param work says whether what `index.json` tells has changed */
  function change(work: () => boolean): void {
    takeNew()
    // Names are what people come back for: they are on the disk when the command returns.
    metadata.transaction(
      () => {
        takeNew()
        if (work()) metadata.beforeCommit(project)
      },
      { durable: true },
    )
  }

  function put(record: ImageRecord): boolean {
    settle(layersOf(record))
    const former = get(record.name)
    if (former !== undefined && imageId(former) !== imageId(record)) keepWithoutName(metadata, former)
    // An entry of another tool that had this name gives way.
    const gaveWay = metadata.run('DELETE FROM foreign_entries WHERE name = ?', record.name) > 0
    insert(metadata, record)
    if (isDangling(record.name)) return gaveWay
    forget(metadata, NO_NAME + imageId(record))
    return true
  }

  return {
    get,
    find: (nameOrId) => find(metadata, get, nameOrId),
    list: () => metadata.all('SELECT * FROM images ORDER BY created_ms DESC, name').map(fromRow),
    put(record) {
      // May take long, and what another tool adds meanwhile is to be taken in: so before that is looked at.
      settle(layersOf(record))
      change(() => put(record))
    },
    update(name, next) {
      takeNew()
      metadata.transaction(() => {
        const current = get(name)
        const wanted = current === undefined ? undefined : next(current)
        if (wanted === undefined) return
        if (isPlaced(current, wanted)) return insert(metadata, { ...wanted, name })
        settle(layersOf(wanted))
        change(() => put({ ...wanted, name }))
      })
    },
    remove: (name) => change(() => forget(metadata, name) || !isDangling(name)),
    project: () => metadata.transaction(project),
  }
}

/** Only where a registry has it is new: `index.json` does not tell that, and who loses it pushes again. */
function isPlaced(current: ImageRecord | undefined, wanted: ImageRecord): boolean {
  return isDeepStrictEqual({ ...current, repoDigests: [] }, { ...wanted, repoDigests: [] })
}

/** Whether an entry of another tool went with it. */
function forget(metadata: Metadata, name: string): boolean {
  metadata.run('DELETE FROM images WHERE name = ?', name)
  return metadata.run('DELETE FROM foreign_entries WHERE name = ?', name) > 0
}

/** An image whose last name goes to another one stays, listed as `<none>`. */
function keepWithoutName(metadata: Metadata, image: ImageRecord): void {
  const others = metadata.get(BY_ID_ELSEWHERE, imageId(image), image.name)
  if (others === undefined) insert(metadata, { ...image, name: NO_NAME + imageId(image) })
}

/** @internal Writes the row and nothing else. */
export function insert(metadata: Metadata, record: ImageRecord): void {
  const [image, ...more] = record.images
  const platforms: Platforms = { digest: record.digest, more }
  metadata.run(
    `INSERT INTO images (name, manifest_digest, config_digest, layer_ids, size, created_ms, origin, is_complete, repo_digests, tagged_ms, platforms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET manifest_digest = excluded.manifest_digest,
     config_digest = excluded.config_digest, layer_ids = excluded.layer_ids, size = excluded.size, created_ms = excluded.created_ms,
     origin = excluded.origin, is_complete = excluded.is_complete, repo_digests = excluded.repo_digests, tagged_ms = excluded.tagged_ms,
     platforms = excluded.platforms`,
    record.name,
    image.manifestDigest,
    image.configDigest,
    JSON.stringify(image.layerIds),
    image.sizeBytes,
    record.createdMs,
    record.origin,
    Number(image.isComplete),
    JSON.stringify(record.repoDigests),
    record.taggedMs ?? Date.now(),
    isIndexRecord(record) ? JSON.stringify(platforms) : null,
  )
}

/** As Docker: a whole id first, then a name, then the prefix of an id. */
function find(
  metadata: Metadata,
  get: (name: string) => ImageRecord | undefined,
  wanted: string,
): ImageRecord | undefined {
  const exact = get(wanted) ?? (isDigest(wanted) ? byDigest(metadata, wanted) : undefined)
  return exact ?? byReference(metadata, get, wanted) ?? byIdPrefix(metadata, wanted)
}

/** The image of that id before an index that it stands in. */
function byDigest(metadata: Metadata, digest: Digest): ImageRecord | undefined {
  const row = metadata.get(BY_DIGEST, digest)
  return row === undefined ? undefined : fromRow(row)
}

function byReference(
  metadata: Metadata,
  get: (name: string) => ImageRecord | undefined,
  wanted: string,
): ImageRecord | undefined {
  try {
    const reference = withDefaultTag(parseReference(wanted))
    if (reference.digest === undefined) return get(formatReference(reference))
    const repository = repositoryOf(reference)
    const pinned = `${repository}@${reference.digest}`
    const candidates = metadata.all(BY_PIN, reference.digest, pinned)
    return candidates
      .map(fromRow)
      .find(
        (image) =>
          image.repoDigests.includes(pinned) || image.name.startsWith(`${repository}:`) || image.name === pinned,
      )
  } catch (error) {
    if (isTsOciError(error) && error.code === 'OCI_REFERENCE_INVALID') return undefined
    throw error
  }
}

/** Undefined also when two images begin alike. */
function byIdPrefix(metadata: Metadata, wanted: string): ImageRecord | undefined {
  const prefix = ID_PREFIX.exec(wanted)?.[1]
  if (prefix === undefined) return undefined
  const rows = metadata.all(BY_PREFIX, `sha256:${prefix}`)
  const isUnique = rows.every((row) => row['id'] === rows[0]?.['id'])
  return rows[0] === undefined || !isUnique ? undefined : fromRow(rows[0])
}

function fromRow(row: Row): ImageRecord {
  const first: StoredImage = {
    manifestDigest: text(row, 'manifest_digest') as Digest,
    configDigest: text(row, 'config_digest') as Digest,
    layerIds: json<readonly string[]>(row, 'layer_ids'),
    sizeBytes: number(row, 'size'),
    isComplete: row['is_complete'] === 1,
  }
  const isOne = row['platforms'] === null
  const { digest, more } = isOne ? { digest: first.manifestDigest, more: [] } : json<Platforms>(row, 'platforms')
  return {
    name: text(row, 'name'),
    digest,
    images: [first, ...more],
    createdMs: number(row, 'created_ms'),
    taggedMs: row['tagged_ms'] === null ? undefined : number(row, 'tagged_ms'),
    origin: text(row, 'origin'),
    repoDigests: json<readonly string[]>(row, 'repo_digests'),
  }
}

function layersOf({ images }: ImageRecord): readonly string[] {
  return images.flatMap(({ layerIds }) => layerIds)
}
