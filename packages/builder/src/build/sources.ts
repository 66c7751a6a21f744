import { existsSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { decode, MAX_BUILD_FILE_BYTES, readBuildFile, tooLarge } from './build-file.ts'
import { errnoWords } from '../base/errno-words.ts'
import { BuilderError } from '../base/errors.ts'
import type { Edge } from '../graph/types.ts'
import type { LocalResult } from '../context/types.ts'
import { readIgnore, readIgnoreFile } from './ignore-file.ts'
import type { RemoteContexts } from './remote-context.ts'
import { parseReference } from '../oci/reference.ts'
import { findInLayout } from '../ops/image/layout.ts'
import type { BuildOptions } from './public-types.ts'

/** Where a build's text and files come from, found before anything else. */
export interface BuildSources {
  /** Directory of the main context; undefined: it is one of the two below. */
  readonly contextDirectory: string | undefined
  /** An archive that came on standard input; empty where a Dockerfile came. */
  readonly contextArchive?: LocalResult
  /** A git repository or what lies behind a URL. */
  readonly contextEdge?: Edge
  readonly dockerfile: { readonly name: string; readonly text: string }
  /** Patterns of the ignore file that counts; undefined when there is none. */
  readonly ignorePatterns: readonly string[] | undefined
  /** Named contexts as lowering wants them, and the directories of the local ones. */
  readonly namedContexts: ReadonlyMap<string, string>
  readonly namedDirectories: ReadonlyMap<
    string,
    { readonly directory: string; readonly ignorePatterns: readonly string[] }
  >
}

/** Contexts that are no directory, their code loaded when the first of them is opened: readers of archives weigh more than all of planning. */
export function remoteOnDemand(create: () => Promise<RemoteContexts>): RemoteContexts {
  let made: Promise<RemoteContexts> | undefined
  const get = (): Promise<RemoteContexts> => (made ??= create())
  return {
    openStream: async (stdin) => (await get()).openStream(stdin),
    openUrl: async (url, urlOptions) => (await get()).openUrl(url, urlOptions),
    [Symbol.asyncDispose]: async () => (await made)?.[Symbol.asyncDispose](),
  }
}

/** @throws OCI_CONTEXT_NOT_FOUND, OCI_CONTEXT_INVALID, OCI_DOCKERFILE_NOT_FOUND, OCI_IGNORE_PATTERN, OCI_SOURCE_FAILED */
export async function findSources(options: BuildOptions, remote?: RemoteContexts): Promise<BuildSources> {
  const { context } = options
  if (context === undefined)
    throw new BuilderError('OCI_CONTEXT_NOT_FOUND', 'a build needs a context', {
      hint: 'name a directory, such as "."',
    })
  if (context === '-' || options.file === '-') return findStdinSources(options, remote)
  if (isRemote(context)) return findRemoteSources(context, options, remote, undefined)
  const directory = contextDirectory(context)
  const { file } = options
  if (options.dockerfile !== undefined)
    return {
      ...named(options),
      contextDirectory: directory,
      dockerfile: { name: file === undefined ? 'Dockerfile' : basename(file), text: options.dockerfile },
      ignorePatterns: ignoreOf(options, directory),
    }
  const { path, text } = readDockerfile(dockerfilePath(file, directory))
  return {
    ...named(options),
    contextDirectory: directory,
    dockerfile: { name: basename(path), text },
    ignorePatterns: ignoreOf(options, directory, path),
  }
}

/** The file that the options name, else what lies in the context. */
function ignoreOf({ ignoreFile }: BuildOptions, directory: string, path?: string): readonly string[] | undefined {
  return ignoreFile === undefined ? readIgnore(directory, path) : readIgnoreFile(ignoreFile)
}

async function findStdinSources(options: BuildOptions, remote: RemoteContexts | undefined): Promise<BuildSources> {
  const { stdin, context } = options
  if (stdin === undefined) throw new BuilderError('OCI_CONTEXT_INVALID', 'standard input was named, but none was given')
  if (context === '-' && options.file === '-')
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      "invalid argument: can't use stdin for both build context and dockerfile",
    )
  if (context === '-') return findStreamSources(stdin, options, remote)
  const text = decode(await collect(stdin))
  if (isRemote(context!)) return findRemoteSources(context!, options, remote, text)
  const directory = contextDirectory(context!)
  return {
    ...named(options),
    contextDirectory: directory,
    dockerfile: { name: 'Dockerfile', text },
    ignorePatterns: ignoreOf(options, directory),
  }
}

async function findStreamSources(
  stdin: AsyncIterable<Uint8Array>,
  options: BuildOptions,
  remote: RemoteContexts | undefined,
): Promise<BuildSources> {
  if (remote === undefined) throw new Error('who takes standard input must open it')
  const stream = await remote.openStream(stdin)
  const common = { ...named(options), contextDirectory: undefined, ignorePatterns: undefined }
  // With a Dockerfile alone the context is there and empty: a wildcard finds nothing in it, a name is not found.
  if (stream.kind === 'dockerfile')
    return {
      ...common,
      contextArchive: stream.context,
      dockerfile: { name: 'Dockerfile', text: decode(stream.text) },
    }
  const { view } = stream.context
  const { readViewFile } = await import('./remote-context.ts')
  return {
    ...common,
    contextArchive: stream.context,
    dockerfile: await remoteDockerfile(options, async (path) => readViewFile(view, path)),
  }
}

/** `text`: the Dockerfile itself, where it came another way. */
async function findRemoteSources(
  context: string,
  options: BuildOptions,
  remote: RemoteContexts | undefined,
  text: string | undefined,
): Promise<BuildSources> {
  if (remote === undefined) throw new Error('who takes URLs must open them')
  const keepGitDirectory = /^(1|t|true)$/i.test(options.buildArgs?.['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? '')
  const opened = await remote.openUrl(context, { keepGitDirectory })
  const given = text ?? options.dockerfile ?? (opened.dockerfile && decode(opened.dockerfile))
  const dockerfile =
    given === undefined ? await remoteDockerfile(options, opened.readFile) : { name: 'Dockerfile', text: given }
  return {
    ...named(options),
    contextDirectory: undefined,
    contextEdge: opened.edge,
    ignorePatterns: undefined,
    dockerfile,
  }
}

/** A Dockerfile in a context that is not of this machine: `-f` counts from the context's root. */
async function remoteDockerfile(
  options: BuildOptions,
  read: (path: string) => Promise<Uint8Array | undefined>,
): Promise<BuildSources['dockerfile']> {
  if (options.dockerfile !== undefined) return { name: 'Dockerfile', text: options.dockerfile }
  for (const path of withLowerCase(options.file ?? STANDARD_NAME)) {
    const bytes = await read(path)
    if (bytes !== undefined) return { name: basename(path), text: decode(bytes) }
  }
  throw new BuilderError(
    'OCI_DOCKERFILE_NOT_FOUND',
    `failed to read dockerfile: open ${options.file ?? 'Dockerfile'}: no such file or directory`,
    { hint: 'it is looked for in the context; name another one with -f' },
  )
}

function named(options: BuildOptions): Pick<BuildSources, 'namedContexts' | 'namedDirectories'> {
  const namedContexts = new Map<string, string>()
  const namedDirectories = new Map<string, { directory: string; ignorePatterns: readonly string[] }>()
  for (const [name, value] of Object.entries(options.buildContexts ?? {})) {
    checkContextName(name)
    if (value.startsWith('docker-image://') || isRemote(value)) namedContexts.set(name, value)
    else if (value.startsWith('oci-layout://')) {
      const { directory, digest } = findInLayout(value.slice('oci-layout://'.length))
      namedContexts.set(name, `oci-layout://${directory}@${digest}`)
    } else if (value.startsWith('target:')) {
      throw new BuilderError(
        'OCI_OPTION_UNSUPPORTED',
        `the named context ${name}=${value} names a target of a bake file, and bake files are not supported yet`,
        { hint: 'build that target first and give its image: docker-image://… or oci-layout://…' },
      )
    } else {
      const directory = contextDirectory(value, `failed to get build context ${name}: stat ${value}: `)
      namedContexts.set(name, `local:${name}`)
      namedDirectories.set(name, { directory, ignorePatterns: readIgnore(directory) ?? [] })
    }
  }
  return { namedContexts, namedDirectories }
}

/** A name is an image's, and may say for which platform it stands. */
function checkContextName(name: string): void {
  try {
    parseReference(name.replace(/::.*$/s, ''))
  } catch (error) {
    throw new BuilderError('OCI_REFERENCE_INVALID', `invalid context name ${name}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** @param named how errors of a named context begin; the main one has words of its own */
function contextDirectory(path: string, named?: string): string {
  const directory = resolve(path)
  let isDirectory
  try {
    isDirectory = statSync(directory).isDirectory()
  } catch (error) {
    const why = errnoWords(error)
    const isAbsent = /^(ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')
    const main = `unable to prepare context: path ${JSON.stringify(path)} ${isAbsent ? 'not found' : `cannot be read: ${why}`}`
    throw new BuilderError('OCI_CONTEXT_NOT_FOUND', named === undefined ? main : `${named}${why}`, {
      cause: error,
      ...(isAbsent && named === undefined
        ? { hint: 'name the directory that holds the files of the build; . is the current one' }
        : {}),
    })
  }
  if (!isDirectory)
    throw new BuilderError(
      'OCI_CONTEXT_NOT_FOUND',
      `unable to prepare context: path ${JSON.stringify(path)} not found`,
      {
        hint: 'it is no directory: the last argument is the build context; name the Dockerfile with -f; an archive is read from - < FILE',
      },
    )
  return directory
}

const STANDARD_NAME = 'Dockerfile'

/** As BuildKit: where a file of the standard name is asked for, `dockerfile` will do. */
function withLowerCase(path: string): readonly string[] {
  return basename(path) === STANDARD_NAME ? [path, join(dirname(path), STANDARD_NAME.toLowerCase())] : [path]
}

/** As the CLI of Docker: `-f` counts from the working directory; the default lies in the context. */
function dockerfilePath(file: string | undefined, directory: string): string {
  if (file === undefined) return join(directory, STANDARD_NAME)
  if (isAbsolute(file)) return file
  const here = resolve(file)
  return existsSync(here) ? here : existsSync(join(directory, file)) ? join(directory, file) : here
}

/** The directory of the Dockerfile is what BuildKit gets to see; with `-f` it may lie anywhere. */
function readDockerfile(path: string): { readonly path: string; readonly text: string } {
  const found = withLowerCase(path).map((one) => [one, readBuildFile(dirname(one), basename(one))] as const)
  for (const [one, file] of found) if (file.kind === 'file') return { path: one, text: decode(file.bytes) }
  const containerfile = join(dirname(path), 'Containerfile')
  const reason = found[0]![1].kind === 'absent' ? 'no such file or directory' : 'it is not a file'
  throw new BuilderError('OCI_DOCKERFILE_NOT_FOUND', `failed to read dockerfile: open ${basename(path)}: ${reason}`, {
    hint: existsSync(containerfile)
      ? `there is a Containerfile: -f ${containerfile}`
      : `name another one with -f; looked for ${path}, and links are followed inside its directory only`,
  })
}

export function isRemote(context: string): boolean {
  return /^(https?|git|ssh):\/\//.test(context) || context.startsWith('git@') || context.startsWith('github.com/')
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of stream) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_BUILD_FILE_BYTES) throw tooLarge('the Dockerfile on standard input')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
