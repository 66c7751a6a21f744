/** What each source of COPY and ADD is: a path, a repository, a file of the web, a heredoc. */
import type { FileActionCopy, FileSpec } from '../../../graph/op-specs.ts'
import type { AddInstruction, CopiedFiles, CopyInstruction, SourceContent } from '../read/ast.ts'
import { checkCopyIgnoredFile } from '../checks/copy-ignored-file.ts'
import { Complaint } from '../expand/complaint.ts'
import { type GitReference, parseGitReference } from '../read/git-reference.ts'
import { encodeText, quote } from '../../../base/text.ts'
import type { CopyMode } from './chmod.ts'
import type { InstructionContext } from './context.ts'
import { internalMetadata } from './names.ts'
import { absolutePath, checkPathLength, cleanPath, joinPath } from '../read/path.ts'
import { edgeOf, type Output } from './pending.ts'
import { addSource, fileNameOfUrl, gitSource, httpSource, isHttpSource } from './sources.ts'

/** A COPY or ADD, its variables expanded. */
export interface CopyRequest
  extends
    CopiedFiles,
    Pick<CopyInstruction, 'parents' | 'includePatterns'>,
    Pick<AddInstruction, 'keepGitDir' | 'checksum' | 'unpack'> {
  readonly keyword: 'ADD' | 'COPY'
  /** Where paths are read from. */
  readonly source: Output | undefined
  readonly readsContext: boolean
}

export interface CopyAction {
  readonly source: Output | undefined
  readonly copy: FileActionCopy
}

export interface ActionOptions {
  readonly destination: string
  readonly mode: CopyMode
  /** Name of the vertices of remote sources. */
  readonly name: string
}

const HEREDOC_MODE = 0o644

export function checkChecksum(request: CopyRequest): void {
  if (request.checksum === '') return
  const [source, ...more] = request.sourcePaths
  if (source === undefined || more.length > 0) throw new Complaint("checksum can't be specified for multiple sources")
  if (!isHttpSource(source) && parseGitReference(source) === undefined) {
    throw new Complaint('checksum requires HTTP(S) or Git sources')
  }
}

export function actionsFor(context: InstructionContext, request: CopyRequest, options: ActionOptions): CopyAction[] {
  return [
    ...request.sourcePaths.map((path) => actionForPath(context, request, options, path)),
    ...request.sourceContents.map((content) => actionForContent(context, request, options, content)),
  ]
}

function actionForPath(
  context: InstructionContext,
  request: CopyRequest,
  options: ActionOptions,
  path: string,
): CopyAction {
  const git = parseGitReference(path)
  if (git !== undefined) {
    if (request.keyword === 'COPY') throw new Complaint("source can't be a git ref for COPY")
    return actionForGit(context, request, options, git)
  }
  if (isHttpSource(path)) {
    if (request.keyword === 'COPY') throw new Complaint("source can't be a URL for COPY")
    return actionForUrl(context, request, options, path)
  }
  return actionForFile(context, request, options, path)
}

function plainCopy(request: CopyRequest, options: ActionOptions, src: string): FileActionCopy {
  return {
    kind: 'copy',
    src,
    dest: options.destination,
    mode: options.mode.mode,
    modeStr: options.mode.modeStr,
    followSymlink: false,
    dirCopyContents: false,
    attemptUnpackDockerCompatibility: false,
    createDestPath: true,
    allowWildcard: false,
    allowEmptyWildcard: false,
    timestamp: -1,
    includePatterns: request.includePatterns ?? [],
    excludePatterns: request.excludePatterns,
    alwaysReplaceExistingDestPaths: false,
  }
}

function actionForGit(
  context: InstructionContext,
  request: CopyRequest,
  options: ActionOptions,
  git: GitReference,
): CopyAction {
  if (request.keepGitDir !== undefined && git.keepGitDir !== undefined && request.keepGitDir !== git.keepGitDir) {
    throw new Complaint('inconsistent keep-git-dir configuration')
  }
  if (request.checksum !== '' && git.checksum !== '' && request.checksum !== git.checksum) {
    throw new Complaint(`checksum mismatch ${quote(request.checksum)} != ${quote(git.checksum)}`)
  }
  const spec = gitSource(git, {
    keepGitDir: git.keepGitDir ?? request.keepGitDir ?? false,
    checksum: git.checksum || request.checksum,
  })
  return { source: addSource(context.graph, spec, { name: options.name }), copy: plainCopy(request, options, '/') }
}

const CHECKSUM_LENGTHS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
])

function actionForUrl(
  context: InstructionContext,
  request: CopyRequest,
  options: ActionOptions,
  url: string,
): CopyAction {
  const name = fileNameOfUrl(url)
  if (request.checksum !== '') checkDigest(request.checksum)
  const source = addSource(context.graph, httpSource(url, name, request.checksum), { name: options.name })
  const copy = plainCopy(request, options, joinPath('/', cleanPath(name)))
  return { source, copy: { ...copy, attemptUnpackDockerCompatibility: request.unpack === true } }
}

function checkDigest(text: string): void {
  const match = /^([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/.exec(text)
  if (match === null) throw new Complaint('invalid checksum digest format')
  const length = CHECKSUM_LENGTHS.get(match[1]!)
  if (length === undefined) throw new Complaint('unsupported digest algorithm')
  if (match[2]!.length !== length) throw new Complaint('invalid checksum digest length')
  if (!/^[a-f0-9]+$/.test(match[2]!)) throw new Complaint('invalid checksum digest format')
}

function actionForFile(
  context: InstructionContext,
  request: CopyRequest,
  options: ActionOptions,
  path: string,
): CopyAction {
  const { keyword, readsContext } = request
  const verb = keyword === 'ADD' ? 'Add' : 'Copy'
  checkCopyIgnoredFile(verb, path, readsContext ? context.ignored : undefined, context.location, context.linter)
  const parents = request.parents ? splitAtPivot(path) : undefined
  const src = cleanPath(absolutePath('/', parents?.root ?? path, false))
  const copy: FileActionCopy = {
    ...plainCopy(request, options, src),
    followSymlink: true,
    dirCopyContents: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    attemptUnpackDockerCompatibility: request.unpack ?? keyword === 'ADD',
    ...(parents === undefined ? {} : { includePatterns: [parents.pattern] }),
    ...(parents?.required === undefined ? {} : { requiredPaths: [parents.required] }),
  }
  return { source: request.source, copy }
}

interface ParentsSource {
  readonly root: string
  readonly pattern: string
  readonly required: string | undefined
}

// `a/./b/c`: what stands behind the pivot keeps its directories.
function splitAtPivot(path: string): ParentsSource {
  const pivot = path.indexOf('/./')
  const root = pivot === -1 ? '/' : path.slice(0, pivot)
  const pattern = absolutePath('/', pivot === -1 ? path : path.slice(pivot + 3), false)
  const isLiteral = !hasWildcard(root) && !hasWildcard(pattern)
  return {
    root,
    pattern: pattern.replace(/^\//, ''),
    required: isLiteral ? absolutePath('/', joinPath(root, pattern), false) : undefined,
  }
}

function hasWildcard(path: string): boolean {
  for (let at = 0; at < path.length; at++) {
    if ('*?['.includes(path[at]!)) return true
    if (path[at] === '\\') at++
  }
  return false
}

function actionForContent(
  context: InstructionContext,
  request: CopyRequest,
  options: ActionOptions,
  content: SourceContent,
): CopyAction {
  const source = addInlineFile(context, content.path, content.data, HEREDOC_MODE)
  return { source, copy: plainCopy(request, options, joinPath('/', cleanPath(content.path))) }
}

/** A file system with one file, for the heredocs of COPY, ADD and RUN. */
export function addInlineFile(context: InstructionContext, name: string, data: string, mode: number): Output {
  checkPathLength(name)
  const op: FileSpec = {
    kind: 'file',
    actions: [
      {
        input: -1,
        secondaryInput: -1,
        output: 0,
        action: { kind: 'mkfile', path: joinPath('/', cleanPath(name)), mode, data: encodeText(data), timestamp: -1 },
      },
    ],
  }
  return context.graph.add(() => edgeOf(op, [], undefined, internalMetadata('preparing inline document')))
}
