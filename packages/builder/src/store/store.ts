import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { bootId } from '../base/boot-id.ts'
import { closeFd, openRoot, syncFileSystem } from '@ts-oci/runtime'
import { createBlobStore } from './blobs.ts'
import { cacheMountIds, keepCacheMount, listCacheMounts, setCacheMountAside } from './cache-mounts.ts'
import { createCacheRecords } from './cache-records.ts'
import { createIdleWork } from '../base/idle-work.ts'
import { onDisk, unusable } from '../base/disk-errors.ts'
import { createImageRecords } from './images.ts'
import { createLayerRecords } from './layers.ts'
import { createLeases, type Leases, type LiveLeases } from './leases.ts'
import { prepareLayout } from './layout.ts'
import {
  cacheMountPath,
  defaultRoot,
  layerFileName,
  layerOfFile,
  storePaths,
  treeName,
  type StorePaths,
} from './paths.ts'
import type { HeldLock } from './lock-files.ts'
import { createLocks, type TryHold } from './locks.ts'
import { openMetadata, text, type Metadata } from './metadata.ts'
import { createProjection } from './projection.ts'
import type { PruneParts } from './prune.ts'
import { createTreeImages, treeDirectory } from './tree-images.ts'
import { createTemporaryNames, sweepTemporary, sweepUnfinished, tryRemoveTree, type RemoveTree } from './temporary.ts'
import { markTreesSynced, unsyncedTrees } from './tree-sync.ts'
import type { Store } from './types.ts'

export interface OpenStoreOptions {
  /** Absolute or relative to the working directory; else {@link defaultRoot}. */
  readonly root?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Removes trees whose files belong to foreign owners; without it they stay and the error says so. */
  readonly removeTree?: RemoveTree
  /** Milliseconds of the Unix epoch. */
  readonly now?: () => number
  /** Changes with every start of the machine; the kernel's. */
  readonly bootId?: () => string
  /** Whether others work with this very store beside who asks: what it has leased is then in use, as what another open store has. */
  readonly isShared?: () => boolean
  readonly signal?: AbortSignal
}

/** Every open store holds it shared; who sweeps what a crash left tries to have it alone, for as long as that takes. */
const USE_LOCK = 'use'

/**
 * Opens the store, creates what is missing, sweeps what dead processes left and adopts what other tools added to
 * `index.json`.
 * @throws OCI_STORE_UNUSABLE, OCI_STORE_VERSION, OCI_STORE_FULL
 */
export async function openStore(options: OpenStoreOptions = {}): Promise<Store> {
  const root = resolve(options.root ?? defaultRoot(options.env ?? process.env))
  const paths = storePaths(root)
  onDisk(root, () => prepareLayout(paths, isTrusted(options.env ?? process.env)))
  const locks = createLocks(root, paths.run)
  const metadata = openMetadata(root, paths.database)
  let use: HeldLock | undefined
  let leases: Leases | undefined
  try {
    onDisk(root, () => sweep(paths, metadata, locks.tryHold))
    use = await holdShared(locks.tryHold, options.signal)
    leases = onDisk(root, () => createLeases(paths))
    return createStore({ ...options, paths, metadata, locks, use, leases })
  } catch (error) {
    leases?.close()
    use?.release()
    metadata.close()
    throw error
  }
}

/** The directories above the store are not judged: they belong to somebody who is trusted, or nobody else reaches them. */
function isTrusted(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['TSBUILD_TRUST_PARENTS'] === '1'
}

async function holdShared(tryHold: TryHold, signal: AbortSignal | undefined): Promise<HeldLock> {
  for (let held = tryHold(USE_LOCK, true); ; held = tryHold(USE_LOCK, true)) {
    if (held !== undefined) return held
    await delay(20, undefined, signal === undefined ? {} : { signal })
  }
}

interface StoreParts extends OpenStoreOptions {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly locks: ReturnType<typeof createLocks>
  readonly use: HeldLock
  readonly leases: Leases
}

function createStore(parts: StoreParts): Store {
  const { paths, metadata, locks } = parts
  const { root } = paths
  // Asked each time anew: who begins in the middle of a prune finds what has gone by then gone, and keeps the rest.
  const others = (): LiveLeases => (parts.isShared?.() === true ? parts.leases.all() : parts.leases.others())
  const leases: Leases = { ...parts.leases, others }
  const now = parts.now ?? Date.now
  const remove = removeWith(root, parts.removeTree)
  const temporary = createTemporaryNames(paths, remove)
  const currentBoot = parts.bootId ?? bootId
  const blobs = createBlobStore(paths, temporary, leases.take)
  const layers = createLayerRecords({ paths, metadata, temporary, bootId: currentBoot, lease: leases.take })
  const projection = createProjection({ paths, metadata, temporary, blobs, layers })
  const images = createImageRecords({
    metadata,
    project: projection.write,
    takeNew: projection.takeNew,
    settle: (layerIds) => {
      if (blobs.isUnsynced() || layers.unsynced(layerIds).length > 0) sync()
    },
  })
  const cache = createCacheRecords(metadata, now, leases.take)
  const treeImages = createTreeImages(paths, currentBoot, (tmp) => sweepUnfinished(paths, tmp))
  const idle = createIdleWork()
  const rows = { paths, metadata, blobs, layers, images, cache, leases }
  const pruneParts: PruneParts = { ...rows, temporary, locks, remove, now, treeImages }
  let isOpen = true
  let hasGrown = false

  /** Rows that were there before count from now on after a crash of the machine, too. */
  function sync(): void {
    const marks = layers.unsynced()
    const trees = unsyncedTrees(metadata, currentBoot())
    onDisk(root, () => syncDirectory(root))
    blobs.markSynced()
    layers.markSynced(marks)
    markTreesSynced(metadata, trees)
  }

  onDisk(root, () => projection.adopt())

  async function close(): Promise<void> {
    if (!isOpen) return
    isOpen = false
    try {
      await idle.settle()
      cache.flush()
    } finally {
      temporary.close()
      treeImages.close()
      metadata.close()
      leases.close()
      parts.use.release()
    }
  }

  return {
    root,
    blobs,
    layers: {
      ...layers,
      put(record) {
        hasGrown = true
        layers.put(record)
      },
    },
    images,
    cache,
    locks,
    createTemporaryDirectory: async (prefix) => temporary.createDirectory(prefix),
    createTreeDirectory: async (prefix, { image }) =>
      image === undefined ? temporary.createDirectory(prefix) : treeImages.createDirectory(temporary, prefix),
    whileIdle: idle.add,
    snapshotDirectory: (layerId, kind) => join(treeDirectory(paths, kind?.image), treeName(layerId, kind)),
    adoptImage: treeImages.adopt,
    syncImage: treeImages.sync,
    hasImage: treeImages.has,
    isOutOfSight: ({ image }) => image !== undefined && !treeImages.isMounted(image),
    cacheMountDirectory: (id, isMade = true) => {
      hasGrown = true
      const directory = cacheMountDirectory(paths, metadata, id, now())
      checkCacheMount(root, directory)
      if (isMade) onDisk(root, () => mkdirSync(directory, { recursive: true, mode: 0o700 }))
      return directory
    },
    cacheMounts: () => listCacheMounts({ paths, metadata }),
    keepCacheMount: (id) => keepCacheMount(metadata, id),
    sync,
    lease: leases.take,
    transaction(work) {
      projection.takeNew()
      return metadata.transaction(work)
    },
    checkRows: () =>
      metadata
        .all('PRAGMA integrity_check(20)')
        .map((row) => text(row, 'integrity_check'))
        .filter((line) => line !== 'ok'),
    isLeased: (name) => leases.others().names.has(name),
    removeTree: remove,
    // Loaded at first need: most commands, and builds that are all cached, tidy nothing up.
    async prune(options) {
      const [{ prune }, { isWhole, pruneRule }] = await Promise.all([import('./prune.ts'), import('./prune-rules.ts')])
      const rule = pruneRule(options)
      cache.flush()
      await treeImages.openPresent()
      return prune(pruneParts, [rule], isWhole(options))
    },
    async usage(filters = []) {
      const { usageOf } = await import('./usage-of.ts')
      cache.flush()
      return usageOf(pruneParts, filters)
    },
    async collectGarbage(policy) {
      // Who only found what was there has made nothing that is too much.
      if (!hasGrown || !policy.isEnabled) return undefined
      hasGrown = false
      const { collectGarbage } = await import('./garbage.ts')
      cache.flush()
      return collectGarbage(pruneParts, policy)
    },
    async emptyCacheMounts(ids) {
      for (const id of new Set(ids.flatMap((wanted) => cacheMountIds(metadata, wanted)))) {
        const aside = setCacheMountAside({ paths, metadata, locks }, id, true)!
        // Another build that has it mounted goes on with it: the next prune after that removes it.
        if (aside.isFree && existsSync(aside.path)) await remove(aside.path)
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function syncDirectory(root: string): void {
  const fd = openRoot(root)
  try {
    syncFileSystem(fd)
  } finally {
    closeFd(fd)
  }
}

function removeWith(root: string, foreign: RemoveTree | undefined): RemoveTree {
  return async (path) => {
    if (tryRemoveTree(path)) return
    if (foreign !== undefined) return foreign(path)
    throw unusable(
      root,
      `${path} cannot be removed`,
      undefined,
      'its files belong to another user: remove it as that user',
    )
  }
}

/** What dead processes left. Their trees go too, but only when nobody is at work who might be about to add a row. */
function sweep(paths: StorePaths, metadata: Metadata, tryHold: TryHold): void {
  const { isCrashed } = sweepTemporary(paths)
  const alone = isCrashed ? tryHold(USE_LOCK, false) : undefined
  if (alone === undefined) return
  try {
    const known = new Set(metadata.all('SELECT id FROM layers').map((row) => layerFileName(String(row['id']))))
    for (const name of readdirSync(paths.snapshots))
      if (!known.has(layerOfFile(name))) tryRemoveTree(join(paths.snapshots, name))
    for (const name of readdirSync(paths.memos)) if (name.endsWith('.tmp')) tryRemoveTree(join(paths.memos, name))
  } finally {
    alone.release()
  }
}

function cacheMountDirectory(paths: StorePaths, metadata: Metadata, id: string, nowMs: number): string {
  const directory = cacheMountPath(paths, id)
  metadata.run(
    `INSERT INTO cache_mounts (id, directory, created_ms, used_ms, usage_count) VALUES (?, ?, ?, ?, 1)
     ON CONFLICT (id) DO UPDATE SET used_ms = excluded.used_ms, usage_count = usage_count + 1`,
    id,
    directory,
    nowMs,
    nowMs,
  )
  return directory
}

/** Steps write in it as root: a link that an archive unpacked over the store would lead them out. */
function checkCacheMount(root: string, path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined || stat.isDirectory()) return
  const found = stat.isSymbolicLink() ? 'a symbolic link' : 'not a directory'
  throw unusable(root, `${path} is ${found}`, undefined, 'find out who put it there, and remove it')
}
