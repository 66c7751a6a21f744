import { addon, check } from './call.ts'
import { filesError } from './errors.ts'

// By /proc/self/fd/N/name: the calls that take a directory descriptor came with Linux 6.13. A symlink's own attributes
// are meant, never its target's. `name` may be '' for the descriptor itself.

const ENODATA = 61
const EOPNOTSUPP = 95

/** Names of the extended attributes, sorted; none where the file system has none. */
export function listXattrs(directoryFd: number, name: string): string[] {
  const names = addon().listXattrs(directoryFd, name)
  if (names === -EOPNOTSUPP) return []
  if (typeof names === 'number') throw filesError('listxattr', name, -names)
  return names === ''
    ? []
    : names
        .split('\0')
        .filter((attribute) => attribute !== '')
        .toSorted()
}

/** Value of an extended attribute; undefined when the file has none of that name. */
export function getXattr(directoryFd: number, name: string, attribute: string): Buffer | undefined {
  const value = addon().getXattr(directoryFd, name, attribute)
  if (value === -ENODATA || value === -EOPNOTSUPP) return undefined
  if (typeof value === 'number') throw filesError('getxattr', name, -value)
  return value
}

/** All extended attributes; absent ones (removed meanwhile) are left out. */
export function getXattrs(directoryFd: number, name: string): ReadonlyMap<string, Buffer> {
  const values = new Map<string, Buffer>()
  for (const attribute of listXattrs(directoryFd, name)) {
    const value = getXattr(directoryFd, name, attribute)
    if (value !== undefined) values.set(attribute, value)
  }
  return values
}

export function setXattr(directoryFd: number, name: string, attribute: string, value: Uint8Array): void {
  check(addon().setXattr(directoryFd, name, attribute, value), 'setxattr', name)
}

/** Removes an extended attribute; none of that name is no error. */
export function removeXattr(directoryFd: number, name: string, attribute: string): void {
  const result = addon().removeXattr(directoryFd, name, attribute)
  if (result !== -ENODATA) check(result, 'removexattr', name)
}
