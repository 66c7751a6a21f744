import { createHash } from 'node:crypto'
import { userInfo } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { digestHex, parseDigest, type Digest, type DiffID } from '../oci/digest.ts'
import type { TreeKind } from './types.ts'

/** Where things lie in a store; see `types.ts`. */
export interface StorePaths {
  readonly root: string
  readonly blobs: string
  readonly tables: string
  readonly snapshots: string
  readonly cacheMounts: string
  readonly run: string
  readonly tmp: string
  /** Where an image of trees lies, and where it is attached. */
  readonly image: string
  readonly memos: string
  readonly layout: string
  readonly index: string
  readonly database: string
}

/** `$TSBUILD_HOME`, else `ts-oci` in the XDG data directory (`~/.local/share`). Absolute. @throws OCI_STORE_UNUSABLE */
export function defaultRoot(env: Readonly<Record<string, string | undefined>>): string {
  if (env['TSBUILD_HOME'] !== undefined && env['TSBUILD_HOME'] !== '') return resolve(env['TSBUILD_HOME'])
  const data = env['XDG_DATA_HOME']
  // The XDG specification ignores relative paths.
  if (data !== undefined && isAbsolute(data)) return join(data, 'ts-oci')
  const home = env['HOME'] !== undefined && isAbsolute(env['HOME']) ? env['HOME'] : accountHome()
  return join(home, '.local/share/ts-oci')
}

/** A container's user may have no account. */
function accountHome(): string {
  try {
    return userInfo().homedir
  } catch (cause) {
    throw new BuilderError(
      'OCI_STORE_UNUSABLE',
      `there is no place for the store: HOME is not set, and user ${process.getuid?.()} has no account`,
      { hint: 'set TSBUILD_HOME, or --store: in a container a volume that this user owns', cause },
    )
  }
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    blobs: join(root, 'blobs/sha256'),
    tables: join(root, 'tables'),
    snapshots: join(root, 'snapshots'),
    cacheMounts: join(root, 'cache-mounts'),
    run: join(root, 'run'),
    tmp: join(root, 'tmp'),
    image: join(root, 'image'),
    memos: join(root, 'memos'),
    layout: join(root, 'oci-layout'),
    index: join(root, 'index.json'),
    database: join(root, 'meta.sqlite'),
  }
}

/** Absolute path of a blob. A digest is checked first: it may come from a stranger's manifest. */
export function blobPath(paths: StorePaths, digest: Digest | DiffID): string {
  return `${paths.blobs}/${digestHex(parseDigest(digest))}`
}

/** Absolute directory of a cache mount: ids may hold anything. */
export function cacheMountPath(paths: StorePaths, id: string): string {
  return join(paths.cacheMounts, createHash('sha256').update(id).digest('hex').slice(0, 40))
}

/** Name of a layer's tree: of one kind as its table's, of others with what tells them apart. */
export function treeName(id: string, { xattrs, owners }: TreeKind = { xattrs: 'trusted', owners: 'identity' }): string {
  if (owners === 'identity') return layerFileName(id)
  return `${layerFileName(id)}.${createHash('sha256').update(`${xattrs} ${owners}`).digest('hex').slice(0, 12)}`
}

/** {@link layerFileName} of the layer that a tree or a table belongs to. */
export function layerOfFile(name: string): string {
  return name.split('.', 1)[0]!
}

/** File name of a layer's table. */
export function layerFileName(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9:_-]{0,127}$/.test(id)) throw new Error(`not the id of a layer: ${JSON.stringify(id)}`)
  return id.replace(':', '-')
}

/** As seen in the image of trees at `at`: directories of its own for trees, and for what is not finished. */
export function imagePaths(at: string): Pick<StorePaths, 'snapshots' | 'tmp'> {
  return { snapshots: join(at, 'snapshots'), tmp: join(at, 'tmp') }
}
