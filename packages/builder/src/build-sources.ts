import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { BuilderError, scrubCredentials } from './errors.ts'
import { parseIgnoreFile } from './context/ignore.ts'
import type { Edge } from './graph/types.ts'
import type { LocalResult } from './ops/types.ts'
import type { RemoteContexts } from './build-remote.ts'
import { parseReference } from './oci/reference.ts'
import { findInLayout } from './ops/image/layout.ts'
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

const MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024

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
  const file = dockerfilePath(options, directory)
  const text = options.dockerfile ?? readDockerfile(file, basename(file))
  return {
    ...named(options),
    contextDirectory: directory,
    dockerfile: { name: basename(file), text },
    ignorePatterns: readIgnore(directory, options.dockerfile === undefined ? file : undefined),
  }
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
  const text = (await collect(stdin)).toString('utf8')
  if (isRemote(context!)) return findRemoteSources(context!, options, remote, text)
  const directory = contextDirectory(context!)
  return {
    ...named(options),
    contextDirectory: directory,
    dockerfile: { name: 'Dockerfile', text },
    ignorePatterns: readIgnore(directory, undefined),
  }
}

async function findStreamSources(
  stdin: AsyncIterable<Uint8Array>,
  options: BuildOptions,
  remote: RemoteContexts | undefined,
): Promise<BuildSources> {
  if (remote === undefined) throw onlyDirectory('-')
  const stream = await remote.openStream(stdin)
  const common = { ...named(options), contextDirectory: undefined, ignorePatterns: undefined }
  // With a Dockerfile alone the context is there and empty: a wildcard finds nothing in it, a name is not found.
  if (stream.kind === 'dockerfile')
    return {
      ...common,
      contextArchive: stream.context,
      dockerfile: { name: 'Dockerfile', text: Buffer.from(stream.text).toString('utf8') },
    }
  const { view } = stream.context
  const { readViewFile } = await import('./build-remote.ts')
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
  if (remote === undefined) throw onlyDirectory(context)
  const keepGitDirectory = /^(1|t|true)$/i.test(options.buildArgs?.['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? '')
  const opened = await remote.openUrl(context, { keepGitDirectory })
  const given = text ?? options.dockerfile ?? (opened.dockerfile && Buffer.from(opened.dockerfile).toString('utf8'))
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

function onlyDirectory(context: string): BuilderError {
  return new BuilderError(
    'OCI_OPTION_UNSUPPORTED',
    `this needs a directory as its context, not ${JSON.stringify(scrubCredentials(context))}`,
    { hint: 'unpack or clone it, and name the directory' },
  )
}

/** A Dockerfile in a context that is not of this machine: `-f` counts from the context's root. */
async function remoteDockerfile(
  options: BuildOptions,
  read: (path: string) => Promise<Uint8Array | undefined>,
): Promise<BuildSources['dockerfile']> {
  if (options.dockerfile !== undefined) return { name: 'Dockerfile', text: options.dockerfile }
  for (const path of options.file === undefined ? ['Dockerfile', 'dockerfile'] : [options.file]) {
    const bytes = await read(path)
    if (bytes !== undefined) return { name: basename(path), text: Buffer.from(bytes).toString('utf8') }
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
      if (!existsSync(value))
        throw new BuilderError(
          'OCI_CONTEXT_NOT_FOUND',
          `failed to get build context ${name}: stat ${value}: no such file or directory`,
        )
      const directory = contextDirectory(value)
      namedContexts.set(name, `local:${name}`)
      namedDirectories.set(name, { directory, ignorePatterns: readIgnore(directory, undefined) ?? [] })
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

function contextDirectory(path: string): string {
  const directory = resolve(path)
  const stat = statSync(directory, { throwIfNoEntry: false })
  if (stat === undefined)
    throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `unable to prepare context: path ${JSON.stringify(path)} not found`)
  if (!stat.isDirectory())
    throw new BuilderError(
      'OCI_CONTEXT_NOT_FOUND',
      `unable to prepare context: path ${JSON.stringify(path)} not found`,
      { hint: 'it is no directory: the last argument is the build context; name the Dockerfile with -f' },
    )
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
    throw new BuilderError(
      'OCI_DOCKERFILE_NOT_FOUND',
      `failed to read dockerfile: open ${name}: ${stat === undefined ? 'no such file or directory' : 'it is not a file'}`,
      { hint: `name another one with -f; looked for ${path}` },
    )
  }
  if (stat.size > MAX_DOCKERFILE_BYTES)
    throw new BuilderError('OCI_DOCKERFILE_INVALID', `${name} is larger than ${MAX_DOCKERFILE_BYTES} bytes`)
  return readFileSync(path, 'utf8')
}

/** `<Dockerfile>.dockerignore` beside the Dockerfile replaces `.dockerignore` of the context. */
function readIgnore(directory: string, dockerfile: string | undefined): readonly string[] | undefined {
  const candidates = [
    ...(dockerfile === undefined ? [] : [join(dirname(dockerfile), `${basename(dockerfile)}.dockerignore`)]),
    join(directory, '.dockerignore'),
  ]
  const path = candidates.find((candidate) => existsSync(candidate))
  if (path === undefined) return undefined
  const stat = statSync(path)
  // Reading a pipe would wait for ever for whoever may write to it.
  if (!stat.isFile())
    throw new BuilderError('OCI_CONTEXT_INVALID', `failed to read ${basename(path)}: it is not a file`, {
      hint: `looked at ${path}`,
    })
  if (stat.size > MAX_DOCKERFILE_BYTES)
    throw new BuilderError('OCI_CONTEXT_INVALID', `${basename(path)} is larger than ${MAX_DOCKERFILE_BYTES} bytes`)
  return parseIgnoreFile(readFileSync(path, 'utf8'))
}

export function isRemote(context: string): boolean {
  return /^(https?|git|ssh):\/\//.test(context) || context.startsWith('git@') || context.startsWith('github.com/')
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
