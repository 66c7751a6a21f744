import { basename, dirname, join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { parseIgnoreFile } from '../patterns/ignore.ts'
import { decode, readBuildFile } from './build-file.ts'

/**
 * `<Dockerfile>.dockerignore` beside the Dockerfile replaces `.dockerignore` of the context. A directory of that name is
 * none, as for Docker; for a pipe Docker waits, and to take it for none would send what it was to leave out.
 * @throws BuilderError OCI_CONTEXT_INVALID
 */
export function readIgnore(directory: string, dockerfile?: string): readonly string[] | undefined {
  const paths = [...(dockerfile === undefined ? [] : [`${dockerfile}.dockerignore`]), join(directory, '.dockerignore')]
  for (const path of paths) {
    const file = readBuildFile(dirname(path), basename(path))
    if (file.kind === 'file') return parseIgnoreFile(decode(file.bytes))
    if (file.kind === 'special')
      throw new BuilderError('OCI_CONTEXT_INVALID', `open ${basename(path)}: it is a pipe, a socket or a device`, {
        hint: `remove ${path}, or put a file in its place`,
      })
  }
  return undefined
}

/** An ignore file by its own path. @throws BuilderError OCI_CONTEXT_INVALID where there is none */
export function readIgnoreFile(path: string): readonly string[] {
  const file = readBuildFile(dirname(path), basename(path))
  if (file.kind === 'file') return parseIgnoreFile(decode(file.bytes))
  throw new BuilderError(
    'OCI_CONTEXT_INVALID',
    `open ${path}: ${file.kind === 'absent' ? 'no such file' : 'no file'}`,
    {
      hint: 'name an ignore file',
    },
  )
}
