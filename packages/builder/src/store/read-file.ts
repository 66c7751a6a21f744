import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** A file of the store is a file, whatever an archive that was unpacked over it made of its name. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Reads a file of the store whole: no link is followed, no fifo waited for, and what is larger than `maxBytes` is not
 * read at all. Undefined when nothing has the name.
 * @throws the error of the call; ELOOP for a link, EISDIR for what is no file, EFBIG
 */
export function readStoreFile(path: string, maxBytes: number): Buffer | undefined {
  const fd = openIfPresent(path)
  if (fd === undefined) return undefined
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw failure('EISDIR', 'not a file', path)
    if (stat.size > maxBytes) throw failure('EFBIG', `${stat.size} bytes are more than ${maxBytes}`, path)
    const bytes = Buffer.allocUnsafeSlow(stat.size)
    let length = 0
    for (let count = -1; length < bytes.length && count !== 0; length += count)
      count = readSync(fd, bytes, length, bytes.length - length, length)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, FLAGS)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function failure(code: string, message: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${message}, read '${path}'`), { code, path })
}
