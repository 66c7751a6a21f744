import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { BuilderError } from './errors.ts'
import { parseIgnoreFile } from './context/ignore.ts'
import type { BuildOptions } from './public-types.ts'

/** Where a build's text and files come from, found before anything else. */
export interface BuildSources {
  /** Directory of the main context; undefined: there is none (Dockerfile on stdin with `-`). */
  readonly contextDirectory: string | undefined
  readonly dockerfile: { readonly name: string; readonly text: string }
  /** Patterns of the ignore file that counts; undefined when there is none. */
  readonly ignorePatterns: readonly string[] | undefined
  /** Named contexts as lowering wants them, and the directories of the local ones. */
  readonly namedContexts: ReadonlyMap<string, string>
  readonly namedDirectories: ReadonlyMap<string, { readonly directory: string; readonly ignorePatterns: readonly string[] }>
}

const MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024

/** @throws OCI_CONTEXT_NOT_FOUND, OCI_DOCKERFILE_NOT_FOUND, OCI_IGNORE_PATTERN */
export async function findSources(options: BuildOptions): Promise<BuildSources> {
  const { context } = options
  if (context === undefined) throw new BuilderError('OCI_CONTEXT_NOT_FOUND', 'a build needs a context', { hint: 'name a directory, such as "."' })
  if (context === '-' || options.file === '-') return findStdinSources(options)
  if (isRemote(context)) throw new BuilderError('OCI_OPTION_UNSUPPORTED', `a context from a URL is not supported yet: ${context}`, { hint: 'clone or unpack it, and name the directory' })
  const directory = contextDirectory(context)
  const file = dockerfilePath(options, directory)
  const text = options.dockerfile ?? readDockerfile(file, options.file === undefined ? basename(file) : options.file)
  return { ...named(options), contextDirectory: directory, dockerfile: { name: basename(file), text }, ignorePatterns: readIgnore(directory, options.dockerfile === undefined ? file : undefined) }
}

async function findStdinSources(options: BuildOptions): Promise<BuildSources> {
  const { stdin, context } = options
  if (stdin === undefined) throw new BuilderError('OCI_CONTEXT_INVALID', 'standard input was named, but none was given')
  if (context === '-' && options.file === '-') throw new BuilderError('OCI_OPTION_INVALID', 'invalid argument: can\'t use stdin for both build context and dockerfile')
  const bytes = await collect(stdin)
  if (context !== '-') {
    const directory = contextDirectory(context!)
    return { ...named(options), contextDirectory: directory, dockerfile: { name: 'Dockerfile', text: bytes.toString('utf8') }, ignorePatterns: readIgnore(directory, undefined) }
  }
  if (looksLikeArchive(bytes)) throw new BuilderError('OCI_OPTION_UNSUPPORTED', 'a context as an archive on standard input is not supported yet', { hint: 'unpack it, and name the directory' })
  return { ...named(options), contextDirectory: undefined, dockerfile: { name: 'Dockerfile', text: bytes.toString('utf8') }, ignorePatterns: undefined }
}

function named(options: BuildOptions): Pick<BuildSources, 'namedContexts' | 'namedDirectories'> {
  const namedContexts = new Map<string, string>()
  const namedDirectories = new Map<string, { directory: string; ignorePatterns: readonly string[] }>()
  for (const [name, value] of Object.entries(options.buildContexts ?? {})) {
    if (value.startsWith('docker-image://')) namedContexts.set(name, value)
    else if (isRemote(value) || value.startsWith('oci-layout://') || value.startsWith('target:')) {
      throw new BuilderError('OCI_OPTION_UNSUPPORTED', `the named context ${name}=${value} is of a kind that is not supported yet`, { hint: 'a directory or docker-image://…' })
    } else {
      const directory = contextDirectory(value)
      namedContexts.set(name, `local:${name}`)
      namedDirectories.set(name, { directory, ignorePatterns: readIgnore(directory, undefined) ?? [] })
    }
  }
  return { namedContexts, namedDirectories }
}

function contextDirectory(path: string): string {
  const directory = resolve(path)
  const stat = statSync(directory, { throwIfNoEntry: false })
  if (stat === undefined) throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `unable to prepare context: path ${JSON.stringify(path)} not found`)
  if (!stat.isDirectory()) throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `unable to prepare context: path ${JSON.stringify(path)} is not a directory`, { hint: 'the last argument is the build context; name the Dockerfile with -f' })
  return directory
}

/** As the CLI of Docker: `-f` counts from the working directory; the default lies in the context. */
function dockerfilePath(options: BuildOptions, directory: string): string {
  if (options.file === undefined) {
    const standard = join(directory, 'Dockerfile')
    const lower = join(directory, 'dockerfile')
    return !existsSync(standard) && existsSync(lower) ? lower : standard
  }
  if (isAbsolute(options.file)) return options.file
  const here = resolve(options.file)
  return existsSync(here) ? here : existsSync(join(directory, options.file)) ? join(directory, options.file) : here
}

function readDockerfile(path: string, name: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile()) {
    throw new BuilderError('OCI_DOCKERFILE_NOT_FOUND', `failed to read dockerfile: open ${name}: ${stat === undefined ? 'no such file or directory' : 'it is not a file'}`, { hint: `name another one with -f; looked for ${path}` })
  }
  if (stat.size > MAX_DOCKERFILE_BYTES) throw new BuilderError('OCI_DOCKERFILE_INVALID', `${name} is larger than ${MAX_DOCKERFILE_BYTES} bytes`)
  return readFileSync(path, 'utf8')
}

/** `<Dockerfile>.dockerignore` beside the Dockerfile replaces `.dockerignore` of the context. */
function readIgnore(directory: string, dockerfile: string | undefined): readonly string[] | undefined {
  const candidates = [...(dockerfile === undefined ? [] : [join(dirname(dockerfile), `${basename(dockerfile)}.dockerignore`)]), join(directory, '.dockerignore')]
  const path = candidates.find((candidate) => existsSync(candidate))
  return path === undefined ? undefined : parseIgnoreFile(readFileSync(path, 'utf8'))
}

export function isRemote(context: string): boolean {
  return /^(https?|git|ssh):\/\//.test(context) || /^git@/.test(context) || /^github\.com\//.test(context)
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function looksLikeArchive(bytes: Buffer): boolean {
  const isCompressed = (bytes[0] === 0x1f && bytes[1] === 0x8b) || bytes.subarray(0, 3).toString('latin1') === 'BZh' || bytes.subarray(1, 6).toString('latin1') === '7zXZ' || (bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528)
  return isCompressed || bytes.subarray(257, 262).toString('latin1') === 'ustar'
}
