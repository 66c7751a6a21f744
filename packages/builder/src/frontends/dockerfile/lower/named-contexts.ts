/** `--build-context name=…`: what replaces a stage or an image. */
import { BuilderError } from '../../../base/errors.ts'
import { formatFamiliar, formatReference, parseReference, withDefaultTag } from '../../../oci/reference.ts'
import { formatPlatformFully, normalizePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import { parseGitReference } from '../read/git-reference.ts'
import { type DraftImage, draftOf } from './image-config.ts'
import type { LowerEnvironment, LowerOptions, ResolvedConfig } from '../../types.ts'
import { quote } from '../../../base/text.ts'
import { type BuildState, createState, setVariable } from './build-state.ts'
import { edgeOf, type PendingGraph } from './pending.ts'
import { addSource, followedPaths, gitSource, httpSource, localSource } from './sources.ts'
import type { NamedContextUse } from './stage-state.ts'

/** Names that are never looked up. */
const RESERVED = new Set(['scratch', 'context'])

/**
 * The named context that stands for a name, if there is one: `name::os/arch` before `name`.
 * @throws BuilderError when the name can be none.
 */
export function findNamedContext(options: LowerOptions, name: string, platform: Platform): NamedContextUse | undefined {
  if (options.namedContexts.size === 0 || RESERVED.has(name.toLowerCase())) return undefined
  const plain = contextName(name)
  const withPlatform = `${plain}::${formatPlatformFully(normalizePlatform(platform))}`
  for (const [key, specifier] of options.namedContexts) {
    const normal = normalKey(key)
    if (normal === withPlatform) return { name: plain, nameWithPlatform: withPlatform, specifier, platform }
  }
  for (const [key, specifier] of options.namedContexts) {
    if (normalKey(key) === plain) return { name: plain, nameWithPlatform: plain, specifier, platform }
  }
  return undefined
}

function normalKey(key: string): string {
  const at = key.indexOf('::')
  try {
    return at === -1 ? contextName(key) : `${contextName(key.slice(0, at))}${key.slice(at)}`
  } catch {
    return key
  }
}

function contextName(name: string): string {
  try {
    return formatFamiliar(parseReference(name)).replace(/:latest$/, '')
  } catch (error) {
    throw new BuilderError('OCI_REFERENCE_INVALID', `invalid context name ${name}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

export interface LoadedContext {
  readonly state: BuildState
  /** Undefined when it is no image. */
  readonly image: DraftImage | undefined
}

export interface LoadOptions {
  readonly options: LowerOptions
  readonly environment: LowerEnvironment
  readonly graph: PendingGraph
  /** What is read of it, complete when the graph is finished. */
  readonly paths: () => ReadonlySet<string>
}

/** Makes a named context's source. @throws BuilderError when it cannot be used. */
export async function loadNamedContext(use: NamedContextUse, load: LoadOptions): Promise<LoadedContext> {
  const { specifier, nameWithPlatform } = use
  const colon = specifier.indexOf(':')
  if (colon === -1) throw invalid(`invalid context specifier ${specifier} for ${nameWithPlatform}`)
  const scheme = specifier.startsWith('git@') ? 'git' : specifier.slice(0, colon)
  const rest = specifier.slice(colon + 1)
  switch (scheme) {
    case 'docker-image':
      return loadImage(use, rest.replace(/^\/\//, ''), load)
    case 'oci-layout':
      return loadLayout(use, rest.replace(/^\/\//, ''), load)
    case 'git':
    case 'http':
    case 'https':
    case 'ssh':
      return loadRemote(use, load)
    case 'local':
      return loadLocal(use, rest, load)
    default:
      throw new BuilderError('OCI_OPTION_UNSUPPORTED', `unsupported context source ${scheme} for ${nameWithPlatform}`, {
        hint: 'a named context is a directory, docker-image://, oci-layout://, a git repository or an http URL',
      })
  }
}

async function loadImage(
  use: NamedContextUse,
  name: string,
  { environment, graph }: LoadOptions,
): Promise<LoadedContext> {
  if (name === 'scratch') return { state: createState(undefined), image: undefined }
  const reference = formatReference(withDefaultTag(parseReference(name)))
  const resolved = await environment.resolveImageConfig(reference, use.platform)
  const output = graph.add(() =>
    edgeOf({ kind: 'source', identifier: `docker-image://${reference}`, attrs: {} }, [], use.platform, {
      name: `[context ${use.nameWithPlatform}] ${name}`,
    }),
  )
  return fromImage(resolved, createState(output, normalizePlatform(use.platform)))
}

async function loadLayout(
  use: NamedContextUse,
  text: string,
  { environment, graph }: LoadOptions,
): Promise<LoadedContext> {
  const match = /^(.*?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?@(sha256:[0-9a-f]{64})$/.exec(text)
  if (match === null) throw invalid(`oci-layout reference ${quote(text)} has no digest`)
  if (environment.resolveLayoutConfig === undefined)
    throw invalid(`oci-layout reference ${quote(text)}: no layouts are at hand`)
  const [, store, , digest] = match
  const reference = formatReference({ ...parseReference(use.name), digest: digest! })
  const resolved = await environment.resolveLayoutConfig(text, use.platform)
  const output = graph.add(() =>
    edgeOf(
      { kind: 'source', identifier: `oci-layout://${reference}`, attrs: { 'oci.store': store! } },
      [],
      use.platform,
      {
        name: `[context ${use.nameWithPlatform}] OCI load from client`,
      },
    ),
  )
  return fromImage(resolved, createState(output, normalizePlatform(use.platform)))
}

function fromImage({ config, base }: ResolvedConfig, state: BuildState): LoadedContext {
  const image = draftOf(config, base)
  for (const [name, value] of image.config.env) setVariable(state, name, value ?? '')
  if (image.config.workingDir !== '') state.directory = image.config.workingDir
  if (image.platform !== undefined) state.platform = normalizePlatform(image.platform)
  return { state, image }
}

function loadRemote(use: NamedContextUse, { graph }: LoadOptions): LoadedContext {
  const { specifier } = use
  const git = parseGitReference(specifier, { allowBare: true })
  if (git === undefined && !/^https?:/.test(specifier)) throw invalid(`invalid git context ${specifier}`)
  const output =
    git === undefined
      ? addSource(graph, httpSource(specifier, 'context'), { name: `[context ${use.nameWithPlatform}] ${specifier}` })
      : addSource(
          graph,
          gitSource(git, { keepGitDir: git.keepGitDir ?? false, checksum: git.checksum, mtime: git.mtime }),
          {
            name: `[internal] load git source ${specifier}`,
          },
        )
  return { state: createState(output), image: undefined }
}

async function loadLocal(
  use: NamedContextUse,
  key: string,
  { environment, graph, paths }: LoadOptions,
): Promise<LoadedContext> {
  const excludePatterns = (await environment.ignorePatternsOf?.(key)) ?? []
  const output = graph.add(() =>
    edgeOf(
      localSource({
        name: key,
        sharedKeyHint: `context:${use.nameWithPlatform}-${key}`,
        excludePatterns,
        followPaths: followedPaths(paths()),
      }),
      [],
      undefined,
      { name: `[context ${use.nameWithPlatform}] load from client` },
    ),
  )
  return { state: createState(output), image: undefined }
}

function invalid(message: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', message)
}
