import type { Digest, DiffID } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import type { TreeImage } from '@ts-oci/runtime'
import type { LayerTable } from '../view/types.ts'
import type { LockKind } from './lock-order.ts'

/**
 * The store on disk, `$TSBUILD_HOME`: an OCI image layout (`oci-layout`, `index.json`, `blobs/sha256`) and beside it
 * `tables/`, `snapshots/`, `cache-mounts/`, `run/`, `tmp/` and `meta.sqlite`. Rows are the truth; files that no row
 * names are left-overs that gc removes.
 */
export interface Store extends AsyncDisposable {
  /** Absolute. */
  readonly root: string
  readonly blobs: BlobStore
  readonly layers: LayerRecords
  readonly images: ImageRecords
  readonly cache: CacheRecords
  readonly locks: Locks
  /** A fresh private directory below `tmp/`; removed by `dispose`, or at a later start when this process died. */
  createTemporaryDirectory(prefix: string): Promise<TemporaryDirectory>
  /** The same where trees of a kind lie, for what becomes one, or is laid over one. */
  createTreeDirectory(prefix: string, kind: Pick<TreeKind, 'image'>): Promise<TemporaryDirectory>
  /** Work of the store that nobody waits for: removals, which a later start would do as well. Done when this closes. */
  whileIdle(work: () => Promise<void>): void
  /** Absolute directory of a layer's tree, of each kind another one; not created. */
  snapshotDirectory(layerId: string, kind?: TreeKind): string
  /** Absolute directory of a cache mount; created on first use, unless whoever asks makes it himself (`isMade` false). */
  cacheMountDirectory(id: string, isMade?: boolean): string
  /** The cache mounts that there are, the last used first; without mirrors of git repositories. */
  cacheMounts(): readonly CacheMountRow[]
  /** What is in this cache mount never leaves the store: it may hold a secret, or a step asked for that. */
  keepCacheMount(id: string): void
  /** One `syncfs`: everything written so far is on the disk, and the rows that name it count in later boots, too. */
  sync(): void
  /** Trees of a mounted image count from now on, until the store is closed, which closes it. */
  adoptImage(image: TreeImage): void
  /** What was written into trees of the image is in its file. @throws OCI_STORE_FULL, OCI_STORE_UNUSABLE: then none of its trees counts any more */
  syncImage(): void
  /** An image that a row names is in the store, mounted or not. */
  hasImage(name: string): boolean
  /** Of a row's tree: it lies in an image that this process has not mounted. */
  isOutOfSight(tree: Pick<TreeKind, 'image'>): boolean
  /** Runs `work` in one SQLite write transaction (synchronous). */
  transaction<T>(work: () => T): T
  /** Says that this layer is used until the store is closed: `prune` leaves it. Said before its row or files are looked at. */
  lease(layerId: string): void
  /** Whoever asks for a cache mount of these ids from now on gets an empty one; who has one mounted keeps it. */
  emptyCacheMounts(ids: readonly string[]): Promise<void>
  /** Removes what nothing needs, and never waits: what other open stores, and other calls of a session, use stays. See {@link PruneResult}. */
  prune(options: PruneOptions): Promise<PruneResult>
  /** What SQLite finds wrong with the database; nothing of a whole one. */
  checkRows(): readonly string[]
  /** Another open store, or another call of the session, uses it. */
  isLeased(name: string): boolean
  /** Of a tree that no row names any more. */
  removeTree(path: string): Promise<void>
  /** The build cache, record by record. @param filters as {@link PruneOptions} @throws OCI_OPTION_INVALID */
  usage(filters?: readonly string[]): Promise<readonly UsageRecord[]>
  /**
   * Removes what the rules say is too much, when something is due: at most once a minute for all builds of the store, and by
   * a look at rows alone as long as nothing is. Undefined when nothing was due.
   */
  collectGarbage(policy: GarbagePolicy): Promise<PruneResult | undefined>
  close(): Promise<void>
}

/** A cache mount as the store knows it. Times are milliseconds of the Unix epoch. */
export interface CacheMountRow {
  readonly id: string
  /** Absolute. */
  readonly directory: string
  readonly createdMs: number
  readonly usedMs: number
  readonly usageCount: number
  /** As it was measured last. */
  readonly sizeBytes: number
  /** It never leaves the store. */
  readonly isKept: boolean
}

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

export interface BlobStore {
  has(digest: Digest): boolean
  /** Size in bytes, undefined when it is not there. */
  size(digest: Digest): number | undefined
  /** Absolute path of a blob, whether it is there or not. */
  path(digest: Digest): string
  /** A manifest, an index or a config: whole, and with the digest that it is asked by. @throws OCI_BLOB_NOT_FOUND, OCI_DIGEST_MISMATCH */
  read(digest: Digest): Uint8Array
  /** Small content (manifest, config): hashed, written, renamed. Returns its digest. */
  put(data: Uint8Array): Digest
  /** Streams content in: verified, then renamed. Nobody sees it before `commit`. */
  createWriter(): BlobWriter
  /** Adopts a finished file below the store's `tmp/` whose digest the caller computed while it wrote it. */
  adopt(temporaryPath: string, digest: Digest): void
  /** Its digest was computed in this process from the bytes as they were written: it need not be read again for that. */
  isFresh(digest: Digest): boolean
  delete(digest: Digest): void
}

export interface BlobWriter {
  readonly path: string
  write(chunk: Uint8Array): Promise<void> | void
  /** @throws OCI_DIGEST_MISMATCH when `expected` differs in digest or size; the file is gone then. */
  commit(expected?: {
    readonly digest: Digest
    readonly size?: number
  }): Promise<{ readonly digest: Digest; readonly sizeBytes: number }>
  abort(): Promise<void>
}

/** How a layer is at hand. A row keeps every form that exists. */
export interface LayerRecord {
  /** Of a pulled layer its diffID; of one that we made a random `l-…` until it is packed (the id never changes). */
  readonly id: string
  readonly diffId?: DiffID
  /** Size of the uncompressed tar. */
  readonly tarSizeBytes?: number
  /** When its content was made; the history's `created`. Milliseconds of the Unix epoch. */
  readonly createdMs: number
  /** `RUN npm ci`: for listings. */
  readonly description: string
  /** In a registry. `references` name where it can be fetched. */
  readonly remote?: { readonly descriptor: Descriptor; readonly references: readonly string[] }
  /** Compressed blobs in the store, first the one it came with. */
  readonly blobs: readonly LayerBlob[]
  /** The plain tar is at `blobs.path(diffId)`. */
  readonly hasTar: boolean
  /** One of each kind of isolation that asked for it. */
  readonly trees?: readonly TreeForm[]
  readonly hasTable: boolean
}

export interface LayerBlob {
  readonly descriptor: Descriptor
  /** What made it (`pulled`, `node-zlib 1.3.1 level 6`): a digest is never recomputed by compressing again. */
  readonly origin: string
  /** Of the tar that it holds, where that is not the layer's: eStargz adds files. No form of the layer is made of it. */
  readonly diffId?: DiffID
}

/** How a tree is written: what one kind of isolation mounts, another one would misread. */
export interface TreeKind {
  /** `trusted` or `user`: which xattr marks its opaque directories. `plain`: written by us, owners and devices as they are. */
  readonly xattrs: 'trusted' | 'user'
  /** `owners` on the disk are those of the layer (identity), shifted through a map (`subordinate:<start>`), or records on the files (`recorded:<uid>`). */
  readonly owners: string
  /** It lies in this image of a file system; absent: on the disk of the store. */
  readonly image?: string
}

export interface TreeForm extends TreeKind {
  /** Counts only in this boot unless synced. */
  readonly bootId: string
  readonly synced: boolean
  /** The store's: tells an unsynced tree from the one that it took the place of. */
  readonly token?: string
  /** By which a tree is known to have the owners still that it was made with; rows of older versions have none. */
  readonly witnesses?: readonly TreeWitness[]
}

/** What lstat(2) said of a tree ('') or of an entry in it, a byte string, when it was made. */
export interface TreeWitness {
  readonly path: string
  readonly uid: number
  readonly gid: number
  /** With the type. */
  readonly mode: number
}

export interface LayerRecords {
  get(id: string): LayerRecord | undefined
  findByDiffId(diffId: DiffID): LayerRecord | undefined
  /** Inserts, or merges the forms into the row that is there. */
  put(record: LayerRecord): void
  /** Writes the row exactly so: a form that `record` lacks is forgotten. */
  replace(record: LayerRecord): void
  delete(id: string): void
  list(): readonly LayerRecord[]
  /** The table of a layer, decoded and kept in an LRU. */
  readTable(id: string): LayerTable | undefined
  /** What lies where the table of a layer should, when its row says that it has none. */
  deleteTable(id: string): void
  /** Written to a temporary name and renamed; content sources of the kind `range` into the layer's own tar are kept as offsets. */
  writeTable(id: string, table: LayerTable): void
  /** Bytes of a layer's files, as Docker counts the size of a layer; undefined without a table. */
  contentSizeBytes(id: string): number | undefined
}

export interface ImageRecord {
  /** Canonical: `docker.io/library/my-app:latest`. */
  readonly name: string
  /** What the name leads to: the manifest of its one image, or an index. */
  readonly digest: Digest
  /** One a platform, in the order of the index: those whose content is here, where the index may name more. The first stands for all. */
  readonly images: readonly [StoredImage, ...StoredImage[]]
  /** Of the first; of the year 1 where the image does not say. */
  readonly createdMs: number
  /** When it got this name; a record that is put without it gets it now. */
  readonly taggedMs?: number | undefined
  /** `built`, `pulled` or `adopted`. */
  readonly origin: string
  /** Repository digests known from pulls and pushes: `docker.io/library/debian@sha256:…`. */
  readonly repoDigests: readonly string[]
}

/** The image of one platform. */
export interface StoredImage {
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  /** Bottom first; ids of layer rows. */
  readonly layerIds: readonly string[]
  /** Sum over the layers of their uncompressed sizes where known, else of their blobs. */
  readonly sizeBytes: number
  /** False when a blob that the manifest names is not in the store. */
  readonly isComplete: boolean
}

export interface ImageRecords {
  /** By canonical name, by the digest of an index or a manifest, or by config digest (full, or a unique prefix of at least 2 hex digits). */
  find(nameOrId: string): ImageRecord | undefined
  get(name: string): ImageRecord | undefined
  list(): readonly ImageRecord[]
  /** Names an image; an image that loses its last name keeps a row with the name `<none>@<config digest>`. */
  put(record: ImageRecord): void
  /**
   * Reads a record and writes what `next` makes of it, with the write lock held throughout: a name that moved meanwhile
   * is seen as it stands now. Nothing is written when it is gone, or when `next` answers undefined.
   */
  update(name: string, next: (current: ImageRecord) => ImageRecord | undefined): void
  remove(name: string): void
  /** Rewrites `index.json` from the rows, atomically. Called by the store after each change of names. */
  project(): void
}

/** What one vertex output gave, by its cache key. */
export interface CacheRecord {
  readonly key: string
  /** Bottom first. */
  readonly layerIds: readonly string[]
  /** False when the layers were dropped or never written: the key still stands, the work is done again if somebody needs the content. */
  readonly hasContent: boolean
  readonly createdMs: number
  readonly usedMs: number
  readonly usageCount: number
  /** Name of the vertex for people. */
  readonly name: string
  /** `regular`, `source.local`, `source.git.checkout`, `exec.cachemount`, `frontend`, `internal` (as BuildKit's `du`). */
  readonly type: string
  /** JSON of what was hashed into the key, for explanations. */
  readonly preimage: string
}

/** What is written in the transaction of a record. */
export interface BesideRecord {
  /** What the alternative keys led to goes. */
  readonly isReplacing?: boolean
  /** Facts, as `putFact` writes them. */
  readonly notes?: readonly (readonly [key: string, value: string])[]
}

export interface CacheRecords {
  /** Follows links: `key` may be an alternative of the record's own. Marks it used. */
  find(key: string): CacheRecord | undefined
  /** Written whole, with what goes `beside` it, or not at all. */
  put(record: CacheRecord, alternativeKeys: readonly string[], beside?: BesideRecord): void
  link(alternative: string, key: string): void
  delete(key: string): void
  list(): readonly CacheRecord[]
  /** The newest record with this name: what a miss is compared with. */
  findByName(name: string): CacheRecord | undefined
  /** Small facts by key that outlive a build (HTTP ETags, git refs, resolved tags). */
  getFact(key: string): string | undefined
  putFact(key: string, value: string): void
}

/** `flock`s on files below `run/`: they die with their process, across containers too. docs/locks.md tells their order. */
export interface Locks {
  /**
   * Runs work while these locks are held, taken in the order of their names. Waits without blocking the thread.
   * @throws OCI_CANCELED
   */
  hold<T>(kind: LockKind, wishes: readonly LockWish[], options: HoldOptions, work: () => Promise<T>): Promise<T>
  /** Takes all of them, or none when one is not free; never waits, so no order binds it. */
  tryHoldAll(kind: LockKind, wishes: readonly LockWish[]): AsyncDisposable | undefined
  /** A lock outside the order: its holder waits for no other one. */
  acquire(name: string, options?: LockOptions): Promise<AsyncDisposable>
  tryAcquire(name: string, options?: { readonly shared?: boolean }): AsyncDisposable | undefined
}

export interface LockWish {
  readonly name: string
  /** Shared locks go together. */
  readonly shared?: boolean | undefined
}

export interface HoldOptions {
  readonly signal?: AbortSignal | undefined
  /** Runs the wait, when there is one: who waits may have something to lend to others meanwhile. */
  readonly whileWaiting?: <T>(wait: () => Promise<T>) => Promise<T>
}

export interface LockOptions {
  readonly shared?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** What is to go: nothing but `all` and no bound, the whole cache that no image shares. Sizes in bytes. */
export interface PruneOptions {
  /** Also the records of what images share (whose layers stay), and what is remembered of registries. */
  readonly all?: boolean | undefined
  /** What was used within this time stays; as the filter `until`. Milliseconds. */
  readonly olderThanMs?: number | undefined
  /** As `docker buildx prune --filter` has them: `type=regular`, `description~=npm`, `until=24h`; all have to fit. */
  readonly filters?: readonly string[] | undefined
  /** So much of the cache always stays. */
  readonly reservedBytes?: number | undefined
  /** So much of it may stay; what was used least goes first. */
  readonly maxUsedBytes?: number | undefined
  /** So much of the disk is to be free. */
  readonly minFreeBytes?: number | undefined
  /** Only layers that neither an image nor a step needs. */
  readonly onlyUnowned?: boolean | undefined
}

/** A record of the build cache, as `docker buildx du` lists it. */
export interface UsageRecord {
  /** 25 characters; of one thing always the same. */
  readonly id: string
  /** Ids of the records that it stands on. */
  readonly parents: readonly string[]
  readonly description: string
  /** `regular`, `source.local`, `source.git.checkout`, `exec.cachemount`, `frontend`, `internal`. */
  readonly type: string
  readonly isMutable: boolean
  /** A build uses it that runs now. */
  readonly isInUse: boolean
  /** An image has the same layer, which stays whatever becomes of the record. */
  readonly isShared: boolean
  readonly sizeBytes: number
  readonly createdMs: number
  readonly usedMs?: number | undefined
  readonly usageCount: number
}

export interface PruneResult {
  /** What went, with the bytes that went with it: none of what images share. */
  readonly removed: readonly UsageRecord[]
  readonly reclaimedBytes: number
}

/** Bytes, or a part of the disk. */
export type SpaceBound = number | `${number}%`

interface SpaceBounds {
  /** So much of the cache always stays. */
  readonly reserved?: SpaceBound | undefined
  /** So much of it may stay. */
  readonly maxUsed?: SpaceBound | undefined
  /** So much of the disk is to be free. */
  readonly minFree?: SpaceBound | undefined
}

/** When the cache is tidied up after builds. Without bounds and rules: BuildKit's defaults for the disk. */
export interface GarbagePolicy extends SpaceBounds {
  readonly isEnabled: boolean
  /** One after another, instead of the default ones. */
  readonly rules?: readonly GarbageRule[] | undefined
}

export interface GarbageRule extends SpaceBounds {
  readonly all?: boolean | undefined
  /** As {@link PruneOptions}; all have to fit. */
  readonly filters?: readonly string[] | undefined
  /** What was used within this time stays: `48h`. */
  readonly unusedFor?: string | undefined
}
