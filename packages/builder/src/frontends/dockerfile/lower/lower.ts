/** From a parsed Dockerfile to the graph and the config of one image. */
import { BuilderError } from '../../../base/errors.ts'
import { normalizePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import type { BuildWarning } from '../../../base/progress.ts'
import type { ParsedDockerfile, Stage } from '../read/ast.ts'
import { checkParsed, checkStages } from './check-file.ts'
import { type CheckConfig, parseCheckConfig } from '../checks/config.ts'
import { createLinter, violationOf } from '../checks/linter.ts'
import type { CheckFinding, Linter } from '../checks/rule.ts'
import { toErrorLocation } from '../read/errors.ts'
import { isComplaint } from '../expand/complaint.ts'
import { containerConfigOf } from './image-config.ts'
import type { LoweredImage } from '../../../image/lowered.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import { dispatchStages } from './dispatch.ts'
import { declareGlobalArgs, predefinedArgs, proxiesOf } from './global-args.ts'
import type { ErrorSink } from './locate.ts'
import { createOutline } from './outline.ts'
import { createPendingGraph, edgeOf } from './pending.ts'
import { resolveEpoch } from './source-date-epoch.ts'
import { followedPaths, localSource } from './sources.ts'
import type { StageState } from './stage-state.ts'
import type { StageTable } from './stage-table.ts'
import { resolveStages } from './resolve.ts'
import { createTextBudget } from '../expand/text-budget.ts'
import { parseBoolean } from '../../../base/boolean.ts'
import { connectStages, createStages, findTarget, type StageContext } from './stages.ts'
import { createIgnoredPaths } from './ignored-paths.ts'
import { refuseOtherFrontend } from './other-frontend.ts'
import { unusedArgsWarning } from './unused-args.ts'

/** All that lowering found out, for those who want more than the image. */
export interface Lowering {
  readonly target: StageState
  readonly table: StageTable
  readonly image: LoweredImage
}

/**
 * Lowers the stage that `options.target` names, and what it needs, to a graph. Nothing is run; only configs of base
 * images are asked for.
 * @throws BuilderError with BuildKit's words and the place in the file.
 */
export async function lowerDockerfile(
  parsed: ParsedDockerfile,
  options: LowerOptions,
  environment: LowerEnvironment,
): Promise<LoweredImage> {
  refuseOtherFrontend(parsed, options.buildArgs)
  const findings: CheckFinding[] = []
  const config = checkConfigOf(parsed, options)
  const { image, table } = await lower(
    parsed,
    options,
    environment,
    createLinter(config, (finding) => findings.push(finding)),
  )
  const violation = violationOf(config, findings)
  if (violation !== undefined) throw checkError(violation, findings)
  const { buildArgs } = options
  const more = unusedArgsWarning(parsed, table, buildArgs)
  return { ...image, warnings: [...findings.map(toWarning), ...more] }
}

function checkError(message: string, findings: readonly CheckFinding[]): BuilderError {
  const [first] = findings
  return new BuilderError('OCI_DOCKERFILE_CHECK', message, {
    hint: 'follow the checks, or skip them with # check=skip=NAME',
    location: first && toErrorLocation(first.location),
    details: { warnings: findings.map(toWarning) },
  })
}

/** A finding as the caller of a build sees it. */
export function toWarning({ rule, message, location }: CheckFinding): BuildWarning {
  return {
    rule: rule.name,
    message,
    detail: rule.description,
    ...(rule.url === undefined ? {} : { url: rule.url }),
    location: toErrorLocation(location),
  }
}

/** Which checks speak: the build argument wins over the directive. @throws BuilderError for options that are none. */
export function checkConfigOf(parsed: ParsedDockerfile, options: LowerOptions): CheckConfig {
  const argument = options.checks ?? options.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK')
  const { check } = parsed.directives
  try {
    return parseCheckConfig(argument ?? check?.value.split(' ', 1)[0] ?? '')
  } catch (error) {
    if (!isComplaint(error)) throw error
    const message =
      argument === undefined ? 'failed to parse check options' : 'failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK'
    throw new BuilderError('OCI_DOCKERFILE_INVALID', `${message}: ${error.message}`, {
      hint: 'checks are configured by skip=NAMES;error=true;experimental=NAMES',
      ...(argument === undefined && check !== undefined ? { location: toErrorLocation(check.location) } : {}),
    })
  }
}

/**
 * Lowers with a linter of one's own; with `onError` it goes on behind errors of stages and instructions where that makes
 * sense.
 * @throws BuilderError
 */
export async function lower(
  parsed: ParsedDockerfile,
  given: LowerOptions,
  environment: LowerEnvironment,
  linter: Linter,
  onError?: ErrorSink,
): Promise<Lowering> {
  const options = withArgumentsForBuilder(given)
  const { stages, metaArgs, escapeToken: escape } = parsed
  if (stages.length === 0)
    throw new BuilderError('OCI_DOCKERFILE_INVALID', 'dockerfile contains no stages to build', {
      hint: 'begin with FROM',
    })
  const predefined = predefinedArgs(options, options.target || stages.at(-1)!.name)
  checkParsed(parsed, linter)
  checkStages(parsed, predefined, linter)
  const declared = declareGlobalArgs(predefined, metaArgs, options.buildArgs, escape)
  const { epoch, buildArgs, globalArgs } = await resolveEpoch(parsed, declared.values, options, environment)
  const context = { options: { ...options, buildArgs }, environment, linter, graph: createPendingGraph(), onError }
  const outline = { ...createOutline(), arguments: declared.outline }
  const table = createStagesOrStop(stages, { ...context, globalArgs, escape, outline })
  const target = findTarget(table, options.target)
  connectStages(table, onError)

  const contextPaths = new Set<string>()
  const contextOutput = context.graph.add(() => options.contextEdge ?? contextEdge(options, environment, contextPaths))
  const reachable = await resolveStages(table, target, context)
  dispatchStages(table, reachable, contextPaths, {
    ...context,
    escape,
    globalArgs,
    buildArgs,
    epoch,
    proxyEnv: proxiesOf(buildArgs),
    contextOutput,
    budget: createTextBudget(),
    ignored: createIgnoredPaths(environment.ignorePatterns),
  })
  target.paths.add('/')
  if (options.allStages !== true) context.graph.finish()
  return { target, table, image: finishImage(target, options, contextPaths, epoch) }
}

// Without all of its stages a file means something else: what would be told next would mislead.
function createStagesOrStop(stages: readonly Stage[], context: StageContext): StageTable {
  const { onError } = context
  let last: BuilderError | undefined
  const note: ErrorSink = (error) => onError?.((last = error))
  const table = createStages(stages, { ...context, onError: onError && note })
  if (last !== undefined) throw last
  return table
}

// Build arguments that speak to the builder itself.
function withArgumentsForBuilder(options: LowerOptions): LowerOptions {
  const { buildArgs } = options
  const namespace = options.cacheMountNamespace ?? buildArgs.get('BUILDKIT_CACHE_MOUNT_NS')
  const hostname = buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') || options.hostname
  const multiPlatform = parseBoolean(buildArgs.get('BUILDKIT_MULTI_PLATFORM') ?? '') ?? options.multiPlatform
  return {
    ...options,
    ...(namespace === undefined ? {} : { cacheMountNamespace: namespace }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(multiPlatform === undefined ? {} : { multiPlatform }),
  }
}

function contextEdge(
  options: LowerOptions,
  environment: LowerEnvironment,
  paths: ReadonlySet<string>,
): ReturnType<typeof edgeOf> {
  const source = localSource({
    name: options.contextName,
    sharedKeyHint: options.contextName,
    excludePatterns: environment.ignorePatterns ?? [],
    followPaths: followedPaths(paths),
  })
  return edgeOf(source, [], undefined, { name: '[internal] load build context' })
}

function finishImage(
  target: StageState,
  options: LowerOptions,
  contextPaths: ReadonlySet<string>,
  epoch: number | undefined,
): LoweredImage {
  const { image, state } = target
  for (const [name, value] of options.labels) image.config.labels.set(name, value)
  for (const name of options.amend?.unsetEnv ?? []) image.config.env.delete(name)
  for (const name of options.amend?.unsetLabels ?? []) image.config.labels.delete(name)
  const platform = normalizePlatform(imagePlatform(image.platform, options))
  const { os, architecture, variant } = platform
  return {
    edge: state.output?.edge,
    platform: outputPlatform(options.targetPlatform, platform),
    config: {
      ...(image.author === '' ? {} : { author: image.author }),
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      ...(platform['os.version'] === undefined ? {} : { 'os.version': platform['os.version'] }),
      ...(platform['os.features'] === undefined ? {} : { 'os.features': platform['os.features'] }),
      config: containerConfigOf(image.config, os),
    },
    ...squashed(options.amend?.squash, image.history, target.baseHistoryLength),
    ...(image.base === undefined || options.amend?.squash === 'all' ? {} : { base: image.base }),
    warnings: [],
    ...(options.amend?.omitHistory === true ? { omitsHistory: true } : {}),
    ...(contextPaths.size === 0 ? {} : { contextPaths: followedPaths(contextPaths) ?? ['.'] }),
    ...(epoch === undefined ? {} : { sourceDateEpoch: epoch }),
  }
}

/** As Docker's `--squash` has it: what was joined has no layer of its own any more, and one entry has them all. */
function squashed(
  squash: LoweredImage['squash'],
  history: LoweredImage['history'],
  baseHistoryLength: number,
): Pick<LoweredImage, 'history' | 'baseHistoryLength' | 'squash'> {
  const kept = squash === 'all' ? 0 : baseHistoryLength
  const joined = history.slice(kept)
  // A single layer stays as it is.
  if (squash === undefined || joined.filter((entry) => entry.empty_layer !== true).length < 2)
    return { history, baseHistoryLength }
  const entries = joined.map((entry) => ({ ...entry, empty_layer: true }))
  return { history: [...history.slice(0, kept), ...entries, { comment: 'squash' }], baseHistoryLength: kept, squash }
}

// What an index lists it as: what was asked for, whatever its stage is of. Of Windows an image is for one version.
function outputPlatform(target: Platform, image: Platform): Platform {
  const isExtended = target.os === 'windows' && image.os === target.os
  return normalizePlatform(isExtended ? { ...image, ...target } : target)
}

// A platform that was asked for is what the image says; otherwise it says what its base says.
function imagePlatform(image: Platform | undefined, { targetPlatform, isPlatformRequested }: LowerOptions): Platform {
  if (image === undefined) return targetPlatform
  if (isPlatformRequested !== true) return image
  const isSame = image.os === targetPlatform.os && image.architecture === targetPlatform.architecture
  const { variant: imageVariant, 'os.version': imageVersion, ...rest } = image
  const variant = targetPlatform.variant ?? (isSame ? imageVariant : undefined)
  const version = targetPlatform['os.version'] ?? (isSame ? imageVersion : undefined)
  const features = targetPlatform['os.features'] ?? image['os.features']
  return {
    ...rest,
    os: targetPlatform.os,
    architecture: targetPlatform.architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features === undefined ? {} : { 'os.features': features }),
  }
}
