import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { digestHex, parseDigest, type Digest, type DiffID } from '../oci/digest.ts'
import { unusable } from './disk-errors.ts'
import { BuilderError } from '../errors.ts'
import { makeDirectories } from '../make-directories.ts'

/** Where things lie in a store; see `types.ts`. */
export interface StorePaths {
  readonly root: string
  readonly blobs: string
  readonly tables: string
  readonly snapshots: string
  readonly cacheMounts: string
  readonly run: string
  readonly tmp: string
  readonly index: string
  readonly database: string
}

/** `$TSBUILD_HOME`, else `ts-oci` in the XDG data directory (`~/.local/share`). Absolute. */
export function defaultRoot(env: Readonly<Record<string, string | undefined>>): string {
  if (env['TSBUILD_HOME'] !== undefined && env['TSBUILD_HOME'] !== '') return resolve(env['TSBUILD_HOME'])
  const data = env['XDG_DATA_HOME']
  // The XDG specification ignores relative paths.
  if (data !== undefined && isAbsolute(data)) return join(data, 'ts-oci')
  return join(env['HOME'] !== undefined && isAbsolute(env['HOME']) ? env['HOME'] : homedir(), '.local/share/ts-oci')
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
    index: join(root, 'index.json'),
    database: join(root, 'meta.sqlite'),
  }
}

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}'

/** Makes the directories and `oci-layout` (image-spec, image-layout.md) where they are missing. @throws OCI_STORE_UNUSABLE */
export function prepareLayout(paths: StorePaths): void {
  const layoutFile = join(paths.root, 'oci-layout')
  if (existsSync(layoutFile)) {
    checkLayout(paths.root, readFileSync(layoutFile, 'utf8'))
    // `oci-layout` is written last, so the rest is there, unless somebody tidied up.
    if (existsSync(paths.run) && existsSync(paths.tmp) && existsSync(paths.blobs)) return
  }
  // Only the owner may look in: layers hold what their images hold, and trees hold set-id files.
  makeDirectory(paths.root, paths.root, 0o700)
  for (const path of [paths.blobs, paths.tables, paths.snapshots, paths.cacheMounts, paths.run, paths.tmp])
    makeDirectory(paths.root, path)
  const temporary = `${layoutFile}.${process.pid}`
  writeFileSync(temporary, LAYOUT)
  renameSync(temporary, layoutFile)
}

// What is no matter of rights or room: the path leads nowhere.
const NO_PLACE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL'])

function makeDirectory(root: string, path: string, mode?: number): void {
  try {
    makeDirectories(path, mode)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || !NO_PLACE.has(code)) throw error
    const why =
      code === 'ENOTDIR' ? `${path} is not a directory, or lies below a file` : `${path} cannot be made (${code})`
    throw unusable(root, why, error, 'set TSBUILD_HOME, or --store, to a directory, or to a path where one can be made')
  }
}

function checkLayout(root: string, text: string): void {
  const version = /"imageLayoutVersion"\s*:\s*"([^"]*)"/.exec(text)?.[1]
  if (version?.startsWith('1.') === true) return
  throw new BuilderError(
    'OCI_STORE_VERSION',
    `${root}/oci-layout has version ${JSON.stringify(version ?? null)}, not 1.0.0`,
    {
      hint: 'set TSBUILD_HOME to another directory',
    },
  )
}

/** Absolute path of a blob. A digest is checked first: it may come from a stranger's manifest. */
export function blobPath(paths: StorePaths, digest: Digest | DiffID): string {
  return `${paths.blobs}/${digestHex(parseDigest(digest))}`
}

/** File name of a layer's table or tree. */
export function layerFileName(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9:_-]{0,127}$/.test(id)) throw new Error(`not the id of a layer: ${JSON.stringify(id)}`)
  return id.replace(':', '-')
}
