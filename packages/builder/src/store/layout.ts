import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { unusable } from '../base/disk-errors.ts'
import { BuilderError } from '../base/errors.ts'
import { makeDirectories } from '../base/make-directories.ts'
import { guardStore } from './guard.ts'
import { resolveParents } from './parents.ts'
import type { StorePaths } from './paths.ts'
import { readStoreFile } from './read-file.ts'
import { keepReserve } from './reserve.ts'

const MAX_LAYOUT_BYTES = 64 * 1024
const LAYOUT = '{"imageLayoutVersion":"1.0.0"}'

/**
 * Makes sure that the store is nobody else's, then makes the directories and `oci-layout` (image-spec, image-layout.md)
 * where they are missing.
 * @param isTrusted the directories above are not judged
 * @throws OCI_STORE_UNUSABLE, OCI_STORE_VERSION
 */
export function prepareLayout(paths: StorePaths, isTrusted = false): void {
  const root = inPlace(paths.root, () => {
    const resolved = resolveParents(paths.root, isTrusted)
    makeDirectories(resolved, DIRECTORY_MODE, PARENT_MODE)
    return resolved
  })
  for (const path of guardStore(paths, root)) makeDirectory(path)
  const text = readStoreFile(paths.layout, MAX_LAYOUT_BYTES)?.toString('utf8')
  if (text !== undefined && isLayout(paths.root, text)) return
  const temporary = `${paths.layout}.${randomBytes(6).toString('hex')}`
  writeFileSync(temporary, LAYOUT, { mode: 0o600, flag: 'wx' })
  renameSync(temporary, paths.layout)
  keepReserve(paths.root)
}

const DIRECTORY_MODE = 0o700
/** Whatever the umask: who may write above a store may exchange it. */
const PARENT_MODE = 0o755

/** Whatever the umask; not made by `mkdir -p`, since nothing above it may be missing now. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, DIRECTORY_MODE)
    chmodSync(path, DIRECTORY_MODE)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

// What is no matter of rights or room: the path leads nowhere.
const NO_PLACE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL'])

function inPlace<Result>(root: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || !NO_PLACE.has(code)) throw error
    const why =
      code === 'ENOTDIR' ? `${root} is not a directory, or lies below a file` : `${root} cannot be made (${code})`
    throw unusable(root, why, error, 'set TSBUILD_HOME, or --store, to a directory, or to a path where one can be made')
  }
}

/** False where a crash of the machine left the file empty: it is written anew. */
function isLayout(root: string, text: string): boolean {
  if (text.trim() === '') return false
  const version = /"imageLayoutVersion"\s*:\s*"([^"]*)"/.exec(text)?.[1]
  if (version?.startsWith('1.') === true) return true
  throw new BuilderError(
    'OCI_STORE_VERSION',
    `${root}/oci-layout has version ${JSON.stringify(version?.slice(0, 40) ?? null)}, not 1.0.0`,
    {
      hint: 'set TSBUILD_HOME to another directory',
    },
  )
}
