import { realpathSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import type { FileSet } from './file-set.ts'
import { archiveName } from './links.ts'

/** The files of a directory that has what an archive has: an unpacked one, or a layout. */
export function openFileDirectory(path: string): FileSet {
  const root = realpathSync(path)
  return {
    name: path,
    find(wanted) {
      const name = archiveName(wanted)
      if (name === undefined) return undefined
      const status = statSync(join(root, name), { throwIfNoEntry: false })
      if (status?.isFile() !== true) return undefined
      const real = realpathSync(join(root, name))
      if (!real.startsWith(root === sep ? sep : root + sep))
        throw new BuilderError('OCI_ARCHIVE_INVALID', `${name} in ${path} is a link that leads out of it`)
      return { size: status.size, path: real, offset: 0 }
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}
