/** SOURCE_DATE_EPOCH: seconds, or the name of what the time is taken from. */
import { BuilderError } from '../../../base/errors.ts'
import type { SourceSpec } from '../../../graph/op-specs.ts'
import type { AddInstruction, ParsedDockerfile, Stage } from '../read/ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { Complaint } from '../expand/complaint.ts'
import { expandWord } from '../expand/expand.ts'
import { parseGitReference } from '../read/git-reference.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import { lowerCase } from '../../../base/text.ts'
import { located } from './locate.ts'
import { findNamedContext } from './named-contexts.ts'
import { fileNameOfUrl, gitSource, httpSource, isHttpSource } from './sources.ts'

const NAME = 'SOURCE_DATE_EPOCH'
const SECONDS = /^[+-]?[0-9]+$/
/** Times that a date can hold. */
const MAX_SECONDS = 8.64e12

export interface ResolvedEpoch {
  readonly epoch: number | undefined
  readonly buildArgs: ReadonlyMap<string, string>
  readonly globalArgs: ReadonlyMap<string, string>
}

/**
 * Finds the fixed time of a build, and puts it in the place of the name that it came from.
 * @throws BuilderError when the value is neither seconds nor a name.
 */
export async function resolveEpoch(
  parsed: ParsedDockerfile,
  globalArgs: ReadonlyMap<string, string>,
  options: LowerOptions,
  environment: LowerEnvironment,
): Promise<ResolvedEpoch> {
  const { buildArgs } = options
  const value = buildArgs.get(NAME) ?? (globalArgs.get(NAME) || undefined)
  if (value === undefined) return { epoch: options.sourceDateEpoch, buildArgs, globalArgs }
  const epoch = value === '' ? undefined : await epochOf(value, parsed, globalArgs, options, environment)
  return { epoch, buildArgs: replaced(buildArgs, epoch), globalArgs: replaced(globalArgs, epoch) }
}

function replaced(values: ReadonlyMap<string, string>, epoch: number | undefined): ReadonlyMap<string, string> {
  if (!values.has(NAME)) return values
  const result = new Map(values)
  if (epoch === undefined) result.delete(NAME)
  else result.set(NAME, String(epoch))
  return result
}

async function epochOf(
  value: string,
  parsed: ParsedDockerfile,
  globalArgs: ReadonlyMap<string, string>,
  options: LowerOptions,
  environment: LowerEnvironment,
): Promise<number | undefined> {
  if (SECONDS.test(value) && Math.abs(Number(value)) <= MAX_SECONDS) return Number(value)
  const source = sourceNamed(value, parsed, globalArgs, options)
  return source === undefined ? undefined : environment.resolveSourceEpoch?.(source)
}

function sourceNamed(
  value: string,
  parsed: ParsedDockerfile,
  globalArgs: ReadonlyMap<string, string>,
  options: LowerOptions,
): SourceSpec | undefined {
  if (value === 'context') {
    const op = options.contextEdge?.vertex.op
    return op?.kind === 'source' ? op : undefined
  }
  const context = isContextName(value) ? findNamedContext(options, value, options.targetPlatform) : undefined
  if (context !== undefined) return remoteSource(context.specifier, { keepGitDir: false, checksum: '' })
  const stage = parsed.stages.find(({ name }) => lowerCase(name) === lowerCase(value))
  if (stage === undefined)
    throw new BuilderError('OCI_OPTION_INVALID', `invalid ${NAME}: ${value}`, {
      hint: 'give seconds since 1970, context, or the name of a stage or of a named context',
    })
  try {
    return sourceOfStage(stage, globalArgs, options.buildArgs, parsed.escapeToken)
  } catch (error) {
    throw located(error, stage.location)
  }
}

function isContextName(value: string): boolean {
  return /^[a-z0-9][a-z0-9._/-]*$/.test(value)
}

// Such a stage holds one remote ADD and ARGs, nothing else.
function sourceOfStage(
  stage: Stage,
  globalArgs: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
  escape: EscapeToken,
): SourceSpec {
  const values = new Map(globalArgs)
  values.delete(NAME)
  if (expandWord(stage.baseName, values, { escape }).text !== 'scratch')
    throw new Complaint(`${NAME} stage must use FROM scratch`)
  let source: SourceSpec | undefined
  for (const instruction of stage.instructions) {
    if (instruction.kind === 'arg') {
      for (const { key, value } of instruction.definitions) {
        const given =
          buildArgs.get(key) ?? (value === undefined ? undefined : expandWord(value, values, { escape }).text)
        if (given !== undefined) values.set(key, given)
      }
    } else if (instruction.kind !== 'add') {
      throw new Complaint(
        `${NAME} stage does not meet source-only requirements: unsupported ${instruction.keyword} instruction`,
      )
    } else if (source !== undefined) throw new Complaint(`${NAME} stage must contain exactly one remote ADD`)
    else source = sourceOfAdd(instruction, values, escape)
  }
  if (source === undefined) throw new Complaint(`${NAME} stage must contain exactly one remote ADD`)
  return source
}

function sourceOfAdd(
  instruction: AddInstruction,
  values: ReadonlyMap<string, string>,
  escape: EscapeToken,
): SourceSpec {
  const [path, ...more] = instruction.sourcePaths
  if (path === undefined || more.length > 0 || instruction.sourceContents.length > 0) {
    throw new Complaint(`${NAME} stage must contain exactly one remote ADD source`)
  }
  const url = expandWord(path, values, { escape }).text
  const checksum = expandWord(instruction.checksum, values, { escape }).text
  const source = remoteSource(url, { keepGitDir: instruction.keepGitDir === true, checksum })
  if (source === undefined) throw new Complaint(`${NAME} stage source must be a single HTTP(S) or Git ADD`)
  return source
}

function remoteSource(
  url: string,
  { keepGitDir, checksum }: { keepGitDir: boolean; checksum: string },
): SourceSpec | undefined {
  const git = parseGitReference(url)
  if (git !== undefined)
    return gitSource(git, { keepGitDir: keepGitDir || git.keepGitDir === true, checksum: checksum || git.checksum })
  return isHttpSource(url) ? httpSource(url, fileNameOfUrl(url), checksum) : undefined
}
