/** COPY and ADD: one file op with an action for each source, or, with `--link`, a layer of its own that is merged. */
import type { Edge, VertexMetadata } from '../../../graph/types.ts'
import type { FileAction, FileActionCopy, FileSpec } from '../../../graph/op-specs.ts'
import type { SourcesAndDestination } from '../read/ast.ts'
import { addHistory } from './image-config.ts'
import { environmentOf } from './build-state.ts'
import { parseChmod } from './chmod.ts'
import type { InstructionContext } from './context.ts'
import { actionsFor, type CopyAction, type CopyRequest } from './copy-sources.ts'
import { checkChecksum } from './copy-sources.ts'
import { commandName, metadataFor, nameInStage } from './names.ts'
import { parseOwner } from './owner.ts'
import { actionPath, checkPathLength, destinationPath } from '../read/path.ts'
import { createInputList, edgeOf, type Output } from './pending.ts'

/** Expands what all copies have, in BuildKit's order: an error of the first counts. */
export function expandSources(context: InstructionContext, written: SourcesAndDestination): SourcesAndDestination {
  const sourcePaths = written.sourcePaths.map(context.expand)
  const destination = context.expand(written.destination)
  const sourceContents = written.sourceContents.map((content) =>
    content.expand ? { ...content, data: context.expandBody(content.data) } : content,
  )
  return { sourcePaths, destination, sourceContents }
}

export function copyFiles(context: InstructionContext, request: CopyRequest): void {
  const { stage, epoch } = context
  const mode = parseChmod(request.chmod)
  checkChecksum(request)
  const names = createNames(context)
  const directory = stage.state.directory
  const destination = actionPath(directory, destinationPath(directory, request.destination), true)
  checkPathLength(destination)
  const actions = actionsFor(context, request, { destination, mode, name: names.plain })
  const before = stage.state.output
  if (request.link && request.chmod === '') stage.state.output = link(context, before, actions, request.chown, names)
  else {
    const metadata = names.metadata(names.plain)
    stage.state.output = context.graph.add(() => copyEdge(before, actions, request.chown, metadata))
  }
  addHistory(stage.image, historyOf(request), true, epoch)
}

interface CopyNames {
  readonly plain: string
  /** Counted at the same place as `plain`. */
  readonly linked: string
  metadata(name: string, more?: Partial<VertexMetadata>): VertexMetadata
}

function createNames(context: InstructionContext): CopyNames {
  const { stage, options, command, location } = context
  const env = environmentOf(stage.state)
  const name = commandName(command.instruction.original, env, { escape: context.escape })
  const nameOptions = {
    multiPlatform: options.multiPlatform === true,
    platform: stage.platform ?? options.targetPlatform,
    env,
  }
  const plain = nameInStage(stage, name, nameOptions)
  if (stage.steps.total > 0) stage.steps.index--
  const linked = nameInStage(stage, `LINK ${name}`, nameOptions)
  const ignoreCache = stage.ignoreCache ? { ignoreCache: true } : {}
  return { plain, linked, metadata: (text, more) => metadataFor(text, location, { ...ignoreCache, ...more }) }
}

function copyEdge(
  before: Output | undefined,
  actions: readonly CopyAction[],
  chown: string,
  metadata: VertexMetadata,
): Edge {
  const inputs = createInputList()
  const base = inputs.add(before)
  const sources = actions.map((action) => inputs.add(action.source))
  const op: FileSpec = {
    kind: 'file',
    actions: actions.map((action, index): FileAction => ({
      input: index === 0 ? base : inputs.edges.length + index - 1,
      secondaryInput: sources[index]!,
      output: index === actions.length - 1 ? 0 : -1,
      action: withOwner(action.copy, chown, base),
    })),
  }
  return edgeOf(op, inputs.edges, undefined, metadata)
}

function withOwner(copy: FileActionCopy, chown: string, input: number): FileActionCopy {
  return chown === '' ? copy : { ...copy, owner: parseOwner(chown, input) }
}

// The copy is made onto nothing, so that it stays the same whatever it is merged onto.
function link(
  context: InstructionContext,
  before: Output | undefined,
  actions: readonly CopyAction[],
  chown: string,
  names: CopyNames,
): Output {
  const group = { id: names.plain, name: names.plain }
  const copied = context.graph.add(() =>
    copyEdge(undefined, actions, chown, names.metadata(names.plain, { progressGroup: { ...group, weak: true } })),
  )
  return context.graph.add(() => {
    if (before?.edge === undefined) return copied.edge
    const metadata = names.metadata(names.linked, { progressGroup: { ...group, weak: false } })
    return edgeOf({ kind: 'merge' }, [before.edge, copied.edge!], undefined, metadata)
  })
}

function historyOf(request: CopyRequest): string {
  const parts: string[] = [request.keyword]
  if (request.parents) parts.push('--parents')
  if (request.chown !== '') parts.push(`--chown=${request.chown}`)
  if (request.chmod !== '') parts.push(`--chmod=${request.chmod}`)
  parts.push(...request.sourcePaths, ...request.sourceContents.map(({ path }) => `<<${path}`), request.destination)
  return `${parts.join(' ')} # buildkit`
}
