import { loadOnce } from '../../base/load-once.ts'
import { basename, join } from 'node:path/posix'
import { BuilderError } from '../../base/errors.ts'
import type { SizedSource } from '../../disk/job-types.ts'
import type { LayerEntry, View, ContentSelector } from '../../view/types.ts'
import { hasWildcard } from '../../view/wildcard.ts'
import { compareBytes } from '../../base/text.ts'
import type { Vertex } from '../../graph/types.ts'
import type { OpsEnvironment } from '../environment.ts'
import { layersOf } from '../context-layer.ts'
import type { FileAction, FileSpec } from '../../graph/op-specs.ts'
import type { InputUse, OpDriver, Result } from '../../solver/types.ts'
import { missingPath } from './required-paths.ts'
import { requireSentDirectory } from './sent.ts'

const loadApply = loadOnce(() => import('./apply.ts'))

/** What files are copied with. */
type FileParts = Pick<OpsEnvironment, 'store' | 'forms' | 'jobs' | 'epochMs'>

/** COPY, ADD, WORKDIR's directory, heredoc files: computed on views, the same for every isolation; no byte is copied yet. */
export function createFileDriver(environment: FileParts): OpDriver {
  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'file',
    cacheMap: (vertex) => ({
      payload: { kind: 'file', actions: fileSpecOf(vertex).actions.map(keyedAction), epochMs: environment.epochMs },
      selectors: selectorsOf(vertex),
    }),
    inputUse: (vertex) => inputUses(vertex),
    run: async (vertex, inputs, run) => {
      const spec = fileSpecOf(vertex)
      const { forms } = environment
      const views: View[] = await Promise.all(inputs.map((input) => viewOf(environment, input)))
      requireSentDirectories(spec, vertex, views)
      requirePaths(spec, vertex, views)
      const createdMs = environment.epochMs ?? Date.now()
      // A build that is all cached never loads it, nor the readers of archives behind it.
      const { applyFileSpec } = await loadApply()
      await using temporary = await environment.store.createTemporaryDirectory('file-op')
      const entries = await applyFileSpec(spec, views, {
        // As BuildKit: what is made on the way has the time of its making; `rewrite-timestamp` comes later.
        nowMs: Date.now(),
        readFile: (entry, maxBytes) => forms.readFile(entry, maxBytes),
        temporaryDirectory: temporary.path,
        resolveContents: (list) => forms.resolveContents(list),
        compareFiles: (pairs) => {
          const sized = (entry: LayerEntry): SizedSource => ({ source: entry.content!, size: entry.size })
          return environment.jobs.run(
            'compareFiles',
            { pairs: pairs.map(([a, b]) => ({ a: sized(a), b: sized(b) })) },
            pairs.flat().some((entry) => entry.content?.kind === 'tree'),
          )
        },
        signal: run.signal,
      })
      const layer = forms.fromSelection(entries, { createdMs, description: vertex.metadata.name })
      // Bytes of an unpacked archive lie in the temporary directory: they must be written before it goes.
      if (entries.some((entry) => entry.content?.kind === 'range' && entry.content.file.startsWith(temporary.path)))
        await (run.demand.tree ? forms.forStep(layer) : forms.tar(layer))
      const base = baseInput(spec, vertex.inputs.length)
      return [{ kind: 'layers', layers: [...(base < 0 ? [] : layersOf(forms, inputs[base]!)), layer] }]
    },
  }
}

/** In the words that BuildKit has for inputs of the vertex, before any action is applied. */
function requirePaths(spec: FileSpec, vertex: Vertex, views: readonly View[]): void {
  for (const { action, secondaryInput } of spec.actions) {
    if (action.kind !== 'copy') continue
    const path = missingPath(action, views[secondaryInput])
    if (path === undefined) continue
    const ref = vertex.inputs[secondaryInput]?.vertex.digest.slice(7, 32)
    throw new BuilderError(
      'OCI_COPY_SOURCE_NOT_FOUND',
      `failed to compute cache key: failed to calculate checksum of ref ${ref}: ${JSON.stringify(join('/', path))}: not found`,
      { details: { path } },
    )
  }
}

function requireSentDirectories(spec: FileSpec, vertex: Vertex, views: readonly View[]): void {
  for (const { action, secondaryInput } of spec.actions) {
    if (action.kind !== 'copy' || !action.allowWildcard) continue
    const followPaths = followPathsOf(vertex.inputs[secondaryInput]?.vertex)
    if (followPaths !== undefined) requireSentDirectory(views[secondaryInput]!, action.src, followPaths)
  }
}

/** What the build takes from a local directory; undefined: all of it, or it is none. */
function followPathsOf(source: Vertex | undefined): readonly string[] | undefined {
  if (source?.op.kind !== 'source' || !source.op.identifier.startsWith('local://')) return undefined
  const list = source.op.attrs['local.followpaths']
  return list === undefined ? undefined : (JSON.parse(list) as string[])
}

function fileSpecOf(vertex: Vertex): FileSpec {
  if (vertex.op.kind !== 'file') throw new Error('not a file op')
  return vertex.op
}

async function viewOf(environment: FileParts, result: Result): Promise<View> {
  return result.kind === 'local' ? result.view : environment.forms.view(result.layers)
}

/** The input whose layers the result is built on, −1 for scratch. */
function baseInput(spec: FileSpec, inputCount: number): number {
  const first = spec.actions.find((action) => action.input < inputCount)
  return first?.input ?? -1
}

function inputUses(vertex: Vertex): readonly InputUse[] {
  const base = baseInput(fileSpecOf(vertex), vertex.inputs.length)
  return vertex.inputs.map((_, index) => (index === base ? 'through' : 'view'))
}

/** Of a copy's source only the last name counts: moving a directory of the context is no change (BuildKit, file op's cache map). */
function keyedAction(action: FileAction): unknown {
  if (action.action.kind !== 'copy') return action
  return { ...action, action: { ...action.action, src: basename(action.action.src) } }
}

function selectorsOf(vertex: Vertex): readonly (readonly ContentSelector[] | undefined)[] {
  const spec = fileSpecOf(vertex)
  const base = baseInput(spec, vertex.inputs.length)
  const selectors = new Map<number, ContentSelector[]>()
  for (const { action, secondaryInput } of spec.actions) {
    if (action.kind !== 'copy' || secondaryInput < 0 || secondaryInput >= vertex.inputs.length) continue
    const list = selectors.get(secondaryInput) ?? []
    list.push({
      path: action.src,
      followLast: action.followSymlink,
      allowWildcard: action.allowWildcard,
      includePatterns: action.includePatterns,
      excludePatterns: action.excludePatterns,
    })
    selectors.set(secondaryInput, list)
  }
  return vertex.inputs.map((_, index) => (index === base ? undefined : withoutCovered(selectors.get(index))))
}

/** What lies below another source is in that one's digest; the rest goes by path (BuildKit: so does the first complaint). */
function withoutCovered(selectors: readonly ContentSelector[] | undefined): readonly ContentSelector[] | undefined {
  if (selectors === undefined) return undefined
  const isPlain = ({ path, allowWildcard, includePatterns, excludePatterns }: ContentSelector): boolean =>
    !(allowWildcard && hasWildcard(path)) && includePatterns.length === 0 && excludePatterns.length === 0
  const roots = selectors.filter(isPlain).map(({ path }) => rootOf(path))
  const isCovered = (selector: ContentSelector): boolean =>
    isPlain(selector) && roots.some((root) => root !== rootOf(selector.path) && rootOf(selector.path).startsWith(root))
  return selectors.filter((selector) => !isCovered(selector)).toSorted((a, b) => compareBytes(a.path, b.path))
}

function rootOf(path: string): string {
  return join('/', path, '/')
}
