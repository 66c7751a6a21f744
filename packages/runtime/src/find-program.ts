import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Looks along PATH, then where Debian and Fedora put administrators' programs. */
export function findProgram(name: string): string | undefined {
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((entry) => entry.startsWith('/')),
    '/usr/bin',
    '/usr/sbin',
    '/bin',
  ]
  return directories.map((directory) => join(directory, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
