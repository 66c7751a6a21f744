/** Vertices of sources that are not images: git repositories, files of the web, local directories. */
import type { VertexMetadata } from '../../../graph/types.ts'
import type { SourceSpec } from '../../../graph/op-specs.ts'
import type { GitReference } from '../read/git-reference.ts'
import { formatJsonList } from './go-format.ts'
import { baseName, joinPath } from '../read/path.ts'
import { edgeOf, type Output, type PendingGraph } from './pending.ts'

const HTTP = /^https?:\/\//

/** A URL of a file; one that ends in `.git` is a repository (`parseGitReference` tells first). */
export function isHttpSource(text: string): boolean {
  return HTTP.test(text)
}

export interface GitSourceOptions {
  readonly keepGitDir: boolean
  readonly checksum: string
  readonly mtime?: string
}

/** The source of a repository; secrets for its host are looked up under BuildKit's names. */
export function gitSource(reference: GitReference, options: GitSourceOptions): SourceSpec {
  const { host, path, ref, subdirectory, scheme } = reference
  const isPart = ref !== '' || subdirectory !== ''
  const fragment = isPart ? `#${ref}${subdirectory === '' ? '' : `:${subdirectory}`}` : ''
  const mtime = options.mtime ?? ''
  return {
    kind: 'source',
    identifier: `git://${host}${joinPath('/', path)}${fragment}`,
    attrs: {
      'git.fullurl': reference.remote,
      'git.authtokensecret': 'GIT_AUTH_TOKEN',
      'git.authheadersecret': 'GIT_AUTH_HEADER',
      ...(options.keepGitDir ? { 'git.keepgitdir': 'true' } : {}),
      ...(scheme === 'ssh' ? { 'git.mountsshsock': 'default' } : {}),
      ...(options.checksum === '' ? {} : { 'git.checksum': options.checksum }),
      ...(reference.submodules === false ? { 'git.skipsubmodules': 'true' } : {}),
      ...(mtime === '' ? {} : { 'git.mtime': mtime }),
      ...(reference.fetchByCommit ? { 'git.fetchbycommit': 'true' } : {}),
    },
  }
}

/** The source of a file of the web, under the name `filename`. */
export function httpSource(url: string, filename: string, checksum = ''): SourceSpec {
  return {
    kind: 'source',
    identifier: url,
    attrs: { ...(checksum === '' ? {} : { 'http.checksum': checksum }), 'http.filename': filename },
  }
}

/** The name that a file gets from its URL: the last element of the path. */
export function fileNameOfUrl(url: string): string {
  const path = pathOfUrl(url)
  const name = path === undefined ? '.' : baseName(path)
  return name === '.' || name === '/' ? '__unnamed__' : name
}

function pathOfUrl(url: string): string | undefined {
  const path = /^https?:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? ''
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

export interface LocalSourceOptions {
  /** Key of the directory. */
  readonly name: string
  readonly sharedKeyHint: string
  readonly excludePatterns: readonly string[]
  /** Paths that are read; undefined: all of it. */
  readonly followPaths: readonly string[] | undefined
}

/** The source of a directory of this machine. It carries no session: that is the affair of whoever sends it away. */
export function localSource(options: LocalSourceOptions): SourceSpec {
  const { followPaths, excludePatterns } = options
  return {
    kind: 'source',
    identifier: `local://${options.name}`,
    attrs: {
      ...(followPaths === undefined || followPaths.length === 0
        ? {}
        : { 'local.followpaths': formatJsonList(followPaths) }),
      ...(excludePatterns.length === 0 ? {} : { 'local.excludepatterns': formatJsonList(excludePatterns) }),
      'local.sharedkeyhint': options.sharedKeyHint,
    },
  }
}

/** Adds a source that depends on nothing. */
export function addSource(graph: PendingGraph, spec: SourceSpec, metadata: VertexMetadata): Output {
  return graph.add(() => edgeOf(spec, [], undefined, metadata))
}

/** What is read of a context, relative and sorted; undefined: all of it. */
export function followedPaths(paths: ReadonlySet<string>): readonly string[] | undefined {
  if (paths.size === 0 || paths.has('/')) return undefined
  return [...paths].map((path) => joinPath('.', path)).sort(compareUtf8)
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
