import { randomBytes } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Executor } from '@ts-oci/runtime'
import type { LayerRecord, Store, TreeForm } from '../content/types.ts'
import { BuilderError } from '../errors.ts'
import type { LayerEntry, LayerTable, View } from '../layer/types.ts'
import { createChainView } from '../layer/view.ts'
import type { Digest, DiffID } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { compressedBlob, compressionOf } from './blobs.ts'
import { fetchLayer, type LayerFetcher } from './fetch.ts'
import type { JobRunner } from './jobs.ts'
import { fromStored, toStored } from './stored-table.ts'
import type { LayerForms, LayerHandle } from './types.ts'
import { readBootId, ownersKey } from './tree-form.ts'

export interface LayerFormsOptions {
  readonly store: Store
  readonly jobs: JobRunner
  readonly executor: () => Promise<Executor>
  readonly fetcher: LayerFetcher
  readonly signal: AbortSignal
}

/** Layers of one build over the rows of a store. Each conversion happens once, in this process and across processes. */
export function createLayerForms(options: LayerFormsOptions): LayerForms {
  const { store, jobs } = options
  const handles = new Map<string, LayerHandle>()
  const selections = new Map<string, readonly LayerEntry[]>()
  const pending = new Map<string, Promise<unknown>>()
  const views = new Map<string, Promise<View>>()

  const single = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    let promise = pending.get(key) as Promise<T> | undefined
    if (promise === undefined) {
      promise = work()
      pending.set(key, promise)
      // A failure is not remembered: a later build in this process may succeed.
      promise.catch(() => pending.delete(key))
    }
    return promise
  }

  const handleOf = (record: { readonly id: string; readonly createdMs: number; readonly description: string }, progressVertex?: string, isBase = false): LayerHandle => {
    let handle = handles.get(record.id)
    if (handle === undefined) handles.set(record.id, (handle = { id: record.id, createdMs: record.createdMs, description: record.description, progressVertex, isBase }))
    return handle
  }

  const recordOf = (layer: LayerHandle): LayerRecord | undefined => store.layers.get(layer.id)

  const requireRecord = (layer: LayerHandle): LayerRecord => {
    const record = recordOf(layer)
    if (record === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `layer ${layer.id} (${layer.description}) is not in the store`, { hint: 'another process may have pruned it: build again' })
    return record
  }

  const put = (layer: LayerHandle, forms: Partial<LayerRecord>): void => {
    store.layers.put({ id: layer.id, createdMs: layer.createdMs, description: layer.description, blobs: [], hasTar: false, hasTable: false, ...forms })
  }

  const ensureBlob = (layer: LayerHandle): Promise<{ readonly path: string; readonly descriptor: Descriptor }> =>
    single(`blob ${layer.id}`, async () => {
      const find = (): { path: string; descriptor: Descriptor } | undefined => {
        const descriptor = requireRecord(layer).blobs.map((blob) => blob.descriptor).find((candidate) => store.blobs.has(candidate.digest))
        return descriptor && { path: store.blobs.path(descriptor.digest), descriptor }
      }
      const early = find()
      if (early) return early
      await using lock = await store.locks.acquire(`blob-${layer.id}`, { signal: options.signal })
      const late = lock && find()
      if (late) return late
      const { descriptor, entries } = await fetchLayer(options.fetcher, store, requireRecord(layer), layer.progressVertex, options.signal)
      store.sync()
      if (entries) store.layers.writeTable(layer.id, toStored(entries))
      // A layer that is not compressed in the registry is its own plain tar.
      const isPlain = descriptor.digest === (layer.id)
      put(layer, { blobs: [{ descriptor, origin: 'pulled' }], hasTable: entries !== undefined, ...(isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : {}) })
      return { path: store.blobs.path(descriptor.digest), descriptor }
    })

  const table = (layer: LayerHandle): Promise<LayerTable> =>
    single(`table ${layer.id}`, async () => {
      const selection = selections.get(layer.id)
      if (selection) return { entries: selection }
      const known = store.layers.readTable(layer.id)
      if (known) return fromStored(known, layer.id)
      await ensureBlob(layer)
      const fetched = store.layers.readTable(layer.id)
      if (fetched) return fromStored(fetched, layer.id)
      await inflate(layer)
      const inflated = store.layers.readTable(layer.id)
      if (inflated === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `layer ${layer.id} has no table`)
      return fromStored(inflated, layer.id)
    })

  /** blob → tar and table. */
  const inflate = (layer: LayerHandle): Promise<void> =>
    single(`inflate ${layer.id}`, async () => {
      const { path } = await ensureBlob(layer)
      const { inflateLayer } = await import('./inflate.ts')
      const record = requireRecord(layer)
      const inflated = await inflateLayer({ store, blobPath: path, expectedDiffId: record.diffId, signal: options.signal })
      store.layers.writeTable(layer.id, toStored(inflated.entries))
      put(layer, { diffId: inflated.diffId, tarSizeBytes: inflated.sizeBytes, hasTar: true, hasTable: true })
    })

  const usableTree = async (record: LayerRecord | undefined): Promise<string | undefined> => {
    if (record?.tree === undefined) return undefined
    const directory = store.snapshotDirectory(record.id)
    const executor = await options.executor()
    const { tree } = record
    const isCurrent = tree.synced || tree.bootId === readBootId()
    return isCurrent && tree.xattrs === executor.overlayXattr && tree.owners === ownersKey(executor.idMapping) && existsSync(directory) ? directory : undefined
  }

  const tree = (layer: LayerHandle): Promise<string> =>
    single(`tree ${layer.id}`, async () => {
      const early = await usableTree(recordOf(layer))
      if (early) return early
      await using lock = await store.locks.acquire(`tree-${layer.id}`, { signal: options.signal })
      const late = lock && (await usableTree(recordOf(layer)))
      if (late) return late
      const executor = await options.executor()
      const target = { xattrs: executor.overlayXattr, owners: executor.idMapping.kind === 'single' ? ('drop' as const) : ('keep' as const) }
      await using temporary = await store.createTemporaryDirectory('tree')
      const destination = `${temporary.path}/tree`
      await jobs.run('makeDirectory', { path: destination, mode: 0o755, uid: 0, gid: 0 }, true)
      const directory = store.snapshotDirectory(layer.id)
      const form: TreeForm = { xattrs: target.xattrs, owners: ownersKey(executor.idMapping), bootId: readBootId(), synced: false }
      const selection = selections.get(layer.id)
      const record = recordOf(layer)
      if (selection) {
        await jobs.run('materialize', { entries: await resolveContents(selection), destination, ...target }, true)
        await replaceTree(destination, directory)
        store.layers.writeTable(layer.id, toStored(selection))
        put(layer, { tree: form, hasTable: true })
        forgetTemporary(layer)
      } else if (record !== undefined && record.tree !== undefined && !record.hasTar && record.blobs.length === 0 && record.remote === undefined) {
        throw new BuilderError('OCI_STORE_UNUSABLE', `the tree of layer ${layer.id} was made by another kind of isolation and nothing else of it is left`, { hint: 'build with --no-cache, or prune the cache' })
      } else {
        const source = record?.hasTar && record.diffId !== undefined ? { file: store.blobs.path(record.diffId as string as Digest), compression: 'none' as const } : await blobSource(layer)
        const extracted = await jobs.run('extract', { ...source, destination, ...target, ...(record?.diffId === undefined ? {} : { expectedDiffId: record.diffId }) }, true)
        await replaceTree(destination, directory)
        if (!store.layers.readTable(layer.id)) store.layers.writeTable(layer.id, toStored(extracted.entries))
        put(layer, { diffId: extracted.diffId, tarSizeBytes: extracted.sizeBytes, tree: form, hasTable: true })
      }
      return directory
    })

  /** Bytes of an unpacked archive or a checkout lie in a directory that goes: from now on the stored form is read. */
  const forgetTemporary = (layer: LayerHandle): void => {
    const temporary = join(store.root, 'tmp', '/')
    const isTemporary = selections.get(layer.id)?.some(({ content }) => (content?.kind === 'range' ? content.file : content?.kind === 'tree' ? content.root : '').startsWith(temporary))
    if (isTemporary !== true) return
    selections.delete(layer.id)
    pending.delete(`table ${layer.id}`)
  }

  const replaceTree = async (from: string, to: string): Promise<void> => {
    if (existsSync(to)) await jobs.run('removeTree', { path: to }, true)
    renameSync(from, to)
  }

  const blobSource = async (layer: LayerHandle): Promise<{ file: string; compression: 'none' | 'gzip' | 'zstd' }> => {
    const { path } = await ensureBlob(layer)
    return { file: path, compression: compressionOf(path) }
  }

  const tar = (layer: LayerHandle): Promise<{ diffId: DiffID; sizeBytes: number }> =>
    single(`tar ${layer.id}`, async () => {
      const find = (): { diffId: DiffID; sizeBytes: number } | undefined => {
        const record = recordOf(layer)
        return record?.hasTar && record.diffId !== undefined && record.tarSizeBytes !== undefined ? { diffId: record.diffId, sizeBytes: record.tarSizeBytes } : undefined
      }
      const early = find()
      if (early) return early
      await using lock = await store.locks.acquire(`tar-${layer.id}`, { signal: options.signal })
      const late = lock && find()
      if (late) return late
      const record = recordOf(layer)
      if (!selections.has(layer.id) && record !== undefined && (record.blobs.length > 0 || record.remote !== undefined)) {
        await inflate(layer)
        return find()!
      }
      const entries = await resolveContents((await table(layer)).entries)
      await using temporary = await store.createTemporaryDirectory('pack')
      const destination = `${temporary.path}/layer.tar`
      const packed = await jobs.run('pack', { entries, destination }, entries.some((entry) => entry.content?.kind === 'tree'))
      store.blobs.adopt(destination, packed.diffId as string as Digest)
      store.layers.writeTable(layer.id, toStored(packed.entries))
      put(layer, { diffId: packed.diffId, tarSizeBytes: packed.sizeBytes, hasTar: true, hasTable: true })
      forgetTemporary(layer)
      return { diffId: packed.diffId, sizeBytes: packed.sizeBytes }
    })

  const resolveContents = async (entries: readonly LayerEntry[]): Promise<readonly LayerEntry[]> => {
    const needed = new Set<string>()
    for (const { content } of entries) if (content?.kind === 'layer') needed.add(content.layer)
    if (needed.size === 0) return entries
    const locations = new Map<string, { readonly tar?: string; readonly tree?: string }>()
    for (const id of needed) locations.set(id, await locate(id))
    const shifted = new Map<string, Map<string, LayerEntry>>()
    return entries.map((entry) => {
      const { content } = entry
      if (content?.kind !== 'layer') return entry
      const location = locations.get(content.layer)!
      if (location.tree !== undefined) return { ...entry, content: { kind: 'tree' as const, root: location.tree, path: content.path } }
      let { offset } = content
      if (offset === undefined) {
        // A view made before the layer was packed has no offsets: the table that pack wrote has them.
        let byPath = shifted.get(content.layer)
        if (byPath === undefined) {
          byPath = new Map((store.layers.readTable(content.layer)?.entries ?? []).map((item) => [item.path, item] as const))
          shifted.set(content.layer, byPath)
        }
        const packed = byPath.get(content.path)?.content
        offset = packed?.kind === 'range' ? packed.offset : undefined
      }
      if (offset === undefined || location.tar === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `the bytes of ${JSON.stringify(content.path)} in layer ${content.layer} are not at hand`)
      return { ...entry, content: { kind: 'range' as const, file: location.tar, offset } }
    })
  }

  /** A plain tar is read by anybody; else a tree that is there; else the blob is inflated. */
  const locate = async (id: string): Promise<{ readonly tar?: string; readonly tree?: string }> => {
    const layer = handles.get(id) ?? load(id)
    const record = recordOf(layer)
    if (record?.hasTar && record.diffId !== undefined) return { tar: store.blobs.path(record.diffId as string as Digest) }
    if (record?.tree !== undefined) {
      const directory = await usableTree(record)
      if (directory !== undefined) return { tree: directory }
    }
    const { diffId } = await tar(layer)
    return { tar: store.blobs.path(diffId as string as Digest) }
  }

  const load = (id: string, progressVertex?: string): LayerHandle => {
    const known = handles.get(id)
    if (known) return known
    const record = store.layers.get(id)
    if (record === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `layer ${id} is not in the store`)
    // Layers that were pulled have their diffID as id; whatever a build made has one of its own.
    return handleOf(record, progressVertex, record.id.startsWith('sha256:'))
  }

  return {
    load,
    fromSelection: (entries, facts) => {
      const layer = handleOf({ id: `l-${randomBytes(16).toString('hex')}`, ...facts })
      selections.set(layer.id, entries)
      return layer
    },
    fromTree: async (id, entries, facts) => {
      const layer = handleOf({ id, ...facts })
      const executor = await options.executor()
      store.layers.writeTable(id, toStored(entries))
      put(layer, { tree: { xattrs: executor.overlayXattr, owners: ownersKey(executor.idMapping), bootId: readBootId(), synced: false }, hasTable: true })
      return layer
    },
    fromImage: (layers, reference, progressVertex) =>
      layers.map(({ descriptor, diffId }, index) => {
        // An image that was built here brings its layers along under the ids that they have.
        const built = store.layers.findByDiffId(diffId)
        const layer = handleOf({ id: built?.id ?? diffId, createdMs: built?.createdMs ?? 0, description: built?.description ?? `${reference ?? 'image'} layer ${index + 1}` }, progressVertex, true)
        const known = recordOf(layer)
        const isKnown = reference === undefined || known?.remote?.references.includes(reference)
        if (known && isKnown && (known.hasTar || known.blobs.length > 0 || known.remote !== undefined)) return layer
        const isPlain = descriptor.digest === (diffId as string)
        const isHere = store.blobs.has(descriptor.digest)
        put(layer, {
          diffId,
          ...(reference === undefined ? {} : { remote: { descriptor, references: [reference] } }),
          blobs: isHere && !isPlain ? [{ descriptor, origin: 'pulled' }] : [],
          ...(isHere && isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : {}),
        })
        return layer
      }),
    table,
    view: (chain) => {
      const key = chain.map((layer) => layer.id).join('/')
      let view = views.get(key)
      if (view === undefined) {
        view = Promise.all(chain.map(async (layer) => (await table(layer)).entries)).then((tables) => createChainView(tables.map((entries) => ({ entries }))))
        views.set(key, view)
        view.catch(() => views.delete(key))
      }
      return view
    },
    tree,
    tar,
    blob: (layer, want) =>
      compressedBlob({ store, layer, want, record: () => recordOf(layer), ensureBlob: () => ensureBlob(layer), tar: () => tar(layer), put: (forms) => put(layer, forms), signal: options.signal }),
    readFile: async (entry, maxBytes) => {
      if (entry.size === 0) return new Uint8Array()
      const [resolved] = await resolveContents([entry])
      const content = resolved?.content
      if (content === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `the bytes of ${JSON.stringify(entry.path)} are not at hand`)
      return jobs.run('readFile', { source: content, size: entry.size, maxBytes }, content.kind === 'tree')
    },
    resolveContents,
    isPersistent: (layer) => {
      const record = recordOf(layer)
      return record !== undefined && (record.hasTar || record.tree !== undefined || record.remote !== undefined || record.blobs.length > 0)
    },
    record: recordOf,
  }
}

