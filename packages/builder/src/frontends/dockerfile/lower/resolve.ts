/** What the stages build on: images and named contexts are asked for, triggers become instructions. */
import { BuilderError } from '../../../base/errors.ts'
import { normalizePlatform } from '../../../oci/platform.ts'
import type { StageInstruction } from '../read/ast.ts'
import { checkInvalidBaseImagePlatform } from '../checks/invalid-base-image-platform.ts'
import type { Linter } from '../checks/rule.ts'
import { Complaint } from '../expand/complaint.ts'
import { draftOf, inheritImage, scratchImage } from './image-config.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import { copyState, createState } from './build-state.ts'
import { type ErrorSink, located, withLocation } from './locate.ts'
import { findNamedContext, loadNamedContext } from './named-contexts.ts'
import { metadataFor, nameInStage } from './names.ts'
import { edgeOf, type PendingGraph } from './pending.ts'
import { reachableFrom, type StageTable } from './stage-table.ts'
import type { StageState } from './stage-state.ts'
import { parseInstructions } from '../read/parse.ts'
import { canonicalBaseName, connect, detectPlatform, SCRATCH } from './stages.ts'
import { findSuggestion, withSuggestion } from '../../../base/suggest.ts'

export interface ResolveContext {
  readonly options: LowerOptions
  readonly environment: LowerEnvironment
  readonly graph: PendingGraph
  readonly linter: Linter
  /** Where errors about bases go; undefined: the first in the file is thrown. */
  readonly onError?: ErrorSink | undefined
}

/**
 * Resolves everything that the target needs, until triggers bring nothing new in. Stages that it does not need are only
 * looked at for errors.
 * @throws BuilderError
 */
export async function resolveStages(
  table: StageTable,
  target: StageState,
  context: ResolveContext,
): Promise<ReadonlySet<StageState>> {
  for (;;) {
    const reachable = reachableFrom(target)
    await resolveBases(table, reachable, context)
    let isComplete = true
    for (const stage of reachable) if (takeTriggers(table, stage)) isComplete = false
    if (isComplete) return reachable
  }
}

async function resolveBases(
  table: StageTable,
  reachable: ReadonlySet<StageState>,
  context: ResolveContext,
): Promise<void> {
  const work: Promise<void>[] = []
  for (const stage of table.list) {
    if (stage.base !== undefined || stage.phase.isDispatched || stage.phase.isResolved) continue
    const isNeeded = reachable.has(stage) || context.options.allStages === true
    stage.phase.isResolved = isNeeded
    if (stage.baseName === SCRATCH && stage.namedContext === undefined) beginWithNothing(stage, context.options)
    else work.push(resolveBase(table, stage, isNeeded, context))
  }
  // Of several errors the first in the file counts, whichever comes first.
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'fulfilled') continue
    if (context.onError === undefined || !(result.reason instanceof BuilderError)) throw result.reason
    context.onError(result.reason)
  }
}

function beginWithNothing(stage: StageState, options: LowerOptions): void {
  stage.state = createState(undefined)
  stage.image = scratchImage(options.targetPlatform)
  stage.platform = options.targetPlatform
  if (stage.stage === undefined) stage.phase.isDispatched = true
}

async function resolveBase(
  table: StageTable,
  stage: StageState,
  isNeeded: boolean,
  context: ResolveContext,
): Promise<void> {
  try {
    await resolveReference(table, stage, isNeeded, context)
  } catch (error) {
    throw located(error, stage.location)
  }
  if (stage.stage === undefined) stage.phase.isDispatched = true
}

async function resolveReference(
  table: StageTable,
  stage: StageState,
  isNeeded: boolean,
  context: ResolveContext,
): Promise<void> {
  const { options } = context
  const written = stage.baseName
  const platform = stage.platform ?? options.targetPlatform
  stage.baseName = canonicalBaseName(written)
  if (!isNeeded) {
    stage.platform = platform
    return
  }
  if (stage.namedContext !== undefined) return replaceStage(stage, context)
  const named = findNamedContext(options, stage.baseName, platform)
  if (named === undefined) return resolveImage(table, stage, written, context)
  const { state, image } = await loadNamedContext(named, { ...context, paths: () => stage.paths })
  stage.state = state
  stage.state.platform = normalizePlatform(platform)
  stage.image = image ?? scratchImage(platform)
  stage.baseHistoryLength = stage.image.history.length
  stage.platform = platform
}

async function replaceStage(stage: StageState, context: ResolveContext): Promise<void> {
  const { state, image } = await loadNamedContext(stage.namedContext!, { ...context, paths: () => stage.paths })
  stage.phase.isDispatched = true
  stage.state = state
  if (image === undefined) return
  stage.image = image
  stage.baseHistoryLength = image.history.length
  if (image.platform !== undefined) stage.platform = image.platform
}

async function resolveImage(
  table: StageTable,
  stage: StageState,
  written: string,
  context: ResolveContext,
): Promise<void> {
  const { options, environment, graph, linter } = context
  let platform = stage.platform ?? options.targetPlatform
  const answer = await askForConfig(table, environment, stage, written, platform)
  const image = draftOf(answer.config, answer.base)
  if (stage.platform === undefined && options.isPlatformRequested !== true) {
    platform = detectPlatform(image.platform, platform, options.buildPlatform)
  }
  stage.baseName = answer.reference.includes('@') ? answer.reference : `${answer.reference}@${answer.digest}`
  stage.image = image
  stage.baseHistoryLength = image.history.length
  stage.platform = platform
  if (isEmpty(answer.config)) {
    stage.state = createState(undefined)
    return
  }
  const name = nameInStage(stage, `FROM ${stage.baseName}`, { multiPlatform: options.multiPlatform === true, platform })
  const identifier = `docker-image://${stage.baseName}`
  const attrs = { 'image.resolvemode': options.pull ? 'pull' : 'local' }
  const metadata = metadataFor(name, stage.stage === undefined ? undefined : stage.location, {
    command: stage.stage?.from.original ?? '',
  })
  const output = graph.add(() => edgeOf({ kind: 'source', identifier, attrs }, [], platform, metadata))
  stage.state = createState(output, normalizePlatform(platform))
  checkInvalidBaseImagePlatform(written, platform, image.platform, stage.location, linter)
}

async function askForConfig(
  table: StageTable,
  environment: LowerEnvironment,
  { baseName: reference, stage: owner }: StageState,
  written: string,
  platform: StageState['platform'] & {},
): ReturnType<LowerEnvironment['resolveImageConfig']> {
  try {
    return await environment.resolveImageConfig(reference, platform)
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error
    const known = [...table.names(), ...COMMON_IMAGES]
    const reason = error.code === 'OCI_REGISTRY_NOT_FOUND' ? `${reference}: not found` : error.message
    const failure = `failed to resolve source metadata for ${reference}: ${reason}`
    // FROM keeps BuildKit's words. What --from names and is nearly a stage is first of all a misspelt one.
    const meant = owner === undefined && isUnknown(error) ? findSuggestion(written, table.names()) : undefined
    const message =
      meant === undefined
        ? withSuggestion(`${written}: ${failure}`, written, known, { caseSensitive: true })
        : `no stage is named ${written} (did you mean ${meant}?), and as an image: ${failure}`
    const hint = [error.hint, contextHint(written, error)].filter((part) => part !== undefined).join('; ')
    throw new BuilderError(error.code, message, {
      hint: hint === '' ? undefined : hint,
      cause: error,
      details: error.details,
    })
  }
}

/** A name of one word may have been meant for a context. */
function contextHint(written: string, error: BuilderError): string | undefined {
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(written) || COMMON_IMAGES.includes(written)) return undefined
  return isUnknown(error) ? `if ${written} is a named context, give --build-context ${written}=DIRECTORY` : undefined
}

/** There is no such image, or nobody to ask for it. */
function isUnknown({ code, details }: BuilderError): boolean {
  return (
    code === 'OCI_REGISTRY_NOT_FOUND' ||
    code === 'OCI_IMAGE_NOT_FOUND' ||
    code === 'OCI_REGISTRY_UNAUTHORIZED' ||
    code === 'OCI_REGISTRY_DENIED' ||
    details['errno'] === 'ENOTFOUND' ||
    details['errno'] === 'EAI_AGAIN'
  )
}

const COMMON_IMAGES = ['alpine', 'busybox', 'centos', 'debian', 'golang', 'ubuntu', 'fedora'].flatMap((name) => [
  name,
  `${name}:latest`,
])

// An image without layers is nothing to start a vertex from.
function isEmpty({ rootfs, history }: Awaited<ReturnType<LowerEnvironment['resolveImageConfig']>>['config']): boolean {
  return (rootfs.diff_ids ?? []).length === 0 && (history ?? []).every((entry) => entry.empty_layer === true)
}

/** Takes over what the base of a stage has come to. */
export function inherit(stage: StageState): void {
  const { base } = stage
  if (base === undefined) return
  stage.state = copyState(base.state)
  stage.platform = base.platform
  stage.image = inheritImage(base.image)
  stage.baseHistoryLength = base.baseHistoryLength
  stage.paths = base.paths
  stage.isWorkdirSet = base.isWorkdirSet
  for (const [key, value] of base.arguments) stage.arguments.set(key, value)
}

/** Puts the base's triggers before the stage's own instructions; true when they read something new. */
function takeTriggers(table: StageTable, stage: StageState): boolean {
  if (stage.phase.areTriggersTaken) return false
  stage.phase.areTriggersTaken = true
  const triggers = stage.base === undefined ? stage.image.config.onBuild : deferredBy(stage.base)
  stage.image.config.onBuild = []
  if (triggers.length === 0) return false
  const commands = withLocation(stage.location, () =>
    triggers.map((text) => connect(table, stage, parseTrigger(text, stage), true)),
  )
  stage.commands = [...commands, ...stage.commands]
  stage.steps.total += commands.length
  return commands.some((command) => command.sources.length > 0)
}

function deferredBy(base: StageState): string[] {
  return base.commands.flatMap(({ instruction }) => (instruction.kind === 'onbuild' ? [instruction.expression] : []))
}

// Errors in a trigger are told at the FROM that brings it in.
function parseTrigger(text: string, stage: StageState): StageInstruction {
  const [instruction, ...more] = parseTriggerText(text)
  if (instruction === undefined || more.length > 0) throw new Complaint('onbuild trigger should be a single expression')
  if (instruction.kind === 'from') throw new Complaint('onbuild trigger is not a command')
  return { ...instruction, location: stage.location }
}

function parseTriggerText(text: string): ReturnType<typeof parseInstructions> {
  try {
    return parseInstructions(text)
  } catch (error) {
    if (error instanceof BuilderError)
      throw new Complaint(typeof error.details.reason === 'string' ? error.details.reason : error.message)
    throw error
  }
}
