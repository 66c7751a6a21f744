import { isDeepStrictEqual } from 'node:util'
import { isTsOciError } from '../base/errors.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { formatReference, parseReference, repositoryOf, withDefaultTag } from '../oci/reference.ts'
import { imageId } from './image-id.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import type { ImageRecord, ImageRecords, StoredImage } from './types.ts'

const NO_NAME = '<none>@'
/** What the columns of the first image leave out, where there are several; as JSON. */
interface Platforms {
  readonly digest: Digest
  readonly more: readonly StoredImage[]
}

/** {@link imageId} of a row. */
const ID =
  "(CASE WHEN json_array_length(platforms, '$.more') > 0 THEN json_extract(platforms, '$.digest') ELSE config_digest END)"

/** A row with several images in which a digest stands, as that of the index or of one of them. */
const IN_PLATFORMS = '(platforms IS NOT NULL AND EXISTS (SELECT 1 FROM json_tree(platforms) WHERE atom = ?1))'

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

  function change<Result>(work: () => Result): Result {
    takeNew()
    // Names are what people come back for: they are on the disk when the command returns.
    return metadata.transaction(
      () => {
        takeNew()
        const result = work()
        metadata.beforeCommit(project)
        return result
      },
      { durable: true },
    )
  }

  function put(record: ImageRecord): void {
    settle(layersOf(record))
    const former = get(record.name)
    if (former !== undefined && imageId(former) !== imageId(record)) keepWithoutName(metadata, former)
    // An entry of another tool that had this name gives way.
    metadata.run('DELETE FROM foreign_entries WHERE name = ?', record.name)
    insert(metadata, record)
    if (!isDangling(record.name)) forget(metadata, NO_NAME + imageId(record))
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
    remove: (name) => change(() => forget(metadata, name)),
    project: () => metadata.transaction(project),
  }
}

/** Only where a registry has it is new: `index.json` does not tell that, and who loses it pushes again. */
function isPlaced(current: ImageRecord | undefined, wanted: ImageRecord): boolean {
  return isDeepStrictEqual({ ...current, repoDigests: [] }, { ...wanted, repoDigests: [] })
}

function forget(metadata: Metadata, name: string): void {
  metadata.run('DELETE FROM images WHERE name = ?', name)
  metadata.run('DELETE FROM foreign_entries WHERE name = ?', name)
}

/** An image whose last name goes to another one stays, listed as `<none>`. */
function keepWithoutName(metadata: Metadata, image: ImageRecord): void {
  const others = metadata.get(`SELECT 1 FROM images WHERE ${ID} = ? AND name <> ?`, imageId(image), image.name)
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
    more.length === 0 && record.digest === image.manifestDigest ? null : JSON.stringify(platforms),
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
  const row = metadata.get(
    `SELECT * FROM images WHERE config_digest = ?1 OR manifest_digest = ?1 OR ${IN_PLATFORMS}
     ORDER BY ${ID} = ?1 DESC, platforms IS NULL DESC, name DESC LIMIT 1`,
    digest,
  )
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
    const candidates = metadata.all(
      `SELECT * FROM images WHERE manifest_digest = ?1 OR ${IN_PLATFORMS} OR EXISTS (SELECT 1 FROM json_each(repo_digests) WHERE json_each.value = ?2) ORDER BY platforms IS NULL DESC, name`,
      reference.digest,
      pinned,
    )
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
  const rows = metadata.all(
    `SELECT *, ${ID} AS id FROM images WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY name DESC`,
    `sha256:${prefix}`,
  )
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
