import { createHash } from 'node:crypto'
import type { IdMapping } from '@ts-oci/runtime'
import { lstatSync } from 'node:fs'
import { layersOf } from '../context-layer.ts'
import { BuilderError } from '../../base/errors.ts'
import { toByteString } from '../../base/byte-string.ts'
import { ownersOnDisk } from '../../disk/owner-record.ts'
import type { LayerEntry, View } from '../../view/types.ts'
import type { CarriedMountFiles, OpsEnvironment } from '../environment.ts'
import type { ExecMount } from '../../graph/op-specs.ts'
import type { Result } from '../../solver/types.ts'

/** What cache mounts are made with. */
export type CacheParts = Pick<OpsEnvironment, 'store' | 'forms' | 'jobs' | 'executor' | 'carriedMounts'>

/** What a cache mount begins with, where `from`, `source`, an owner or a mode say so. */
export interface InitialContent {
  readonly root: LayerEntry | undefined
  readonly entries: readonly LayerEntry[]
}

/** Undefined for a mount that begins empty. */
export async function initialContent(
  { forms }: CacheParts,
  initial: Result | undefined,
  mount: ExecMount,
): Promise<InitialContent | undefined> {
  if (initial === undefined) return undefined
  const view = initial.kind === 'local' ? initial.view : await forms.view(layersOf(forms, initial))
  const root = view.lookup(trim(toByteString(mount.selector)), { followLast: true })
  // The root of a stage from scratch is no entry.
  if (root === undefined && trim(toByteString(mount.selector)) !== '')
    throw new BuilderError('OCI_STEP_FAILED', `open ${mount.selector}: no such file or directory`, {
      details: { missingSource: mount.selector },
    })
  return { root, entries: root?.type === 'directory' ? below(view, root.path) : [] }
}

/**
 * Which cache a mount means. As BuildKit's, caches of one id are different ones where they begin with something else:
 * a mount that asks for another owner or mode than the last does not get that one's directory. Nor does a step under a
 * shifted map get one whose files lie under other ids on the disk.
 */
export function cacheMountId(id: string, initial: InitialContent | undefined, mapping: IdMapping): string {
  const isShifted = mapping.kind === 'shifted'
  if (initial === undefined && !isShifted) return id
  const hash = createHash('sha256')
  if (isShifted) hash.update(`${mapping.uidStart}:${mapping.gidStart}`)
  if (initial === undefined) return `${id}:${hash.digest('hex').slice(0, 16)}`
  for (const entry of initial.root === undefined ? initial.entries : [initial.root, ...initial.entries]) {
    const { path, type, mode, uid, gid, size, link } = entry
    const time = type === 'file' ? [entry.mtimeSec, entry.mtimeNsec] : []
    hash.update(JSON.stringify([entry === initial.root ? '' : path, type, mode, uid, gid, size, link, ...time]))
  }
  return `${id}:${hash.digest('hex').slice(0, 16)}`
}

/** A cache mount that a step asks for. */
export interface WantedCache {
  readonly id: string
  /** What it is called in a cache that travels; undefined for what does not travel. */
  readonly carriedId: string | undefined
  readonly initial: InitialContent | undefined
}

/**
 * The directory of a cache mount. Made on first use: as a cache from elsewhere has it, else empty, or with what `from` and
 * `source` name. Its mode and owner are those of that source, else 0755 and root, as BuildKit's.
 */
export async function prepareCacheMount(
  environment: CacheParts,
  { id, carriedId, initial }: WantedCache,
  signal: AbortSignal,
): Promise<string> {
  const { store, carriedMounts } = environment
  const path = store.cacheMountDirectory(id, false)
  const { idMapping } = await environment.executor()
  if (isUsable(path, idMapping)) return path
  const entries = initial && (await environment.forms.resolveContents(initial.entries))
  const carried = carriedId === undefined ? undefined : await carriedMounts?.find(carriedId)
  return store.locks.hold('cache-mount-make', [{ name: id }], { signal }, async () => {
    if (isUsable(path, idMapping)) return path
    if (carried !== undefined && (await bringCacheMount(environment, path, carried, signal))) return path
    await makeCacheMount(environment, path, initial?.root, entries)
    return path
  })
}

/**
 * A cache begins anew where somebody gave it to the container's own users (podman's `:U`): no step can own it, and what
 * is in it lost its owners as well.
 */
function isUsable(path: string, mapping: IdMapping): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined || mapping.kind !== 'shifted') return found !== undefined
  const { uidStart, uidCount, gidStart, gidCount } = mapping
  return isWithin(found.uid, uidStart, uidCount) && isWithin(found.gid, gidStart, gidCount)
}

function isWithin(id: number, start: number, count: number): boolean {
  return id >= start && id < start + count
}

/** Makes a cache mount of what a cache from elsewhere has. False: that could not be had. */
export async function bringCacheMount(
  environment: CacheParts,
  path: string,
  { root, bring }: CarriedMountFiles,
  signal: AbortSignal,
): Promise<boolean> {
  const { jobs } = environment
  const executor = await environment.executor()
  const owners = ownersOnDisk(executor.idMapping)
  await using temporary = await environment.store.createTemporaryDirectory('cache-mount')
  const draft = `${temporary.path}/mount`
  const isThere = await bring(
    temporary.path,
    async ({ diffId, ...tar }) => {
      await jobs.run('makeDirectory', { path: draft, ...root, owners }, true)
      const xattrs = executor.overlayXattr
      await jobs.run('extract', { ...tar, destination: draft, xattrs, owners, expectedDiffId: diffId }, true)
    },
    signal,
  )
  if (isThere) await moveInto(environment, { draft, path, former: `${temporary.path}/former` })
  return isThere
}

async function makeCacheMount(
  environment: CacheParts,
  path: string,
  root: LayerEntry | undefined,
  entries: readonly LayerEntry[] | undefined,
): Promise<void> {
  const { jobs } = environment
  const executor = await environment.executor()
  const owners = ownersOnDisk(executor.idMapping)
  // Under another name until it is whole: what a kill leaves half filled would be used for ever, and a build that
  // empties its caches may take away whatever bears the name.
  await using temporary = await environment.store.createTemporaryDirectory('cache-mount')
  const draft = `${temporary.path}/mount`
  const { uid, gid, mode } = root ?? { uid: 0, gid: 0, mode: 0o755 }
  await jobs.run('makeDirectory', { path: draft, mode, uid, gid, owners }, true)
  if (entries !== undefined)
    await jobs.run('materialize', { entries, destination: draft, xattrs: executor.overlayXattr, owners }, true)
  await moveInto(environment, { draft, path, former: `${temporary.path}/former` })
}

async function moveInto(
  { jobs }: CacheParts,
  { draft, path, former }: { readonly draft: string; readonly path: string; readonly former: string },
): Promise<void> {
  // One that no step can use.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    await jobs.run('rename', { from: path, to: former }, true)
  await jobs.run('rename', { from: draft, to: path }, true)
}

/** Entries below a directory, as if it were the root. */
function below(view: View, directory: string): LayerEntry[] {
  const cut = directory === '' ? 0 : directory.length + 1
  return [...view.walk(directory)].map((entry) => ({ ...entry, path: entry.path.slice(cut) }))
}

function trim(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '')
    .join('/')
}
