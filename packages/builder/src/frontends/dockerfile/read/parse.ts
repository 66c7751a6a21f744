/** The second half of parsing: what each instruction means, and which stage it belongs to. */
import type { BuilderError } from '../../../base/errors.ts'
import { rangeBetween, type SourceRange } from '../../../base/source.ts'
import { findDocComment } from './arguments.ts'
import type {
  ArgInstruction,
  FromInstruction,
  Instruction,
  Keyword,
  ParsedDockerfile,
  RawInstruction,
  Stage,
  StageInstruction,
} from './ast.ts'
import { dockerfileError, type DockerfileErrorOptions } from './errors.ts'
import { isComplaint, type Complaint } from '../expand/complaint.ts'
import { INSTRUCTIONS } from './instructions/list.ts'
import { otherFrontend } from './other-frontend.ts'
import { rangesOf } from './ranges.ts'
import { splitDockerfile, type SplitDockerfile, type SplitOptions } from './split.ts'
import { withSuggestion } from '../../../base/suggest.ts'
import { decodeText, lowerCase, upperCase } from '../../../base/text.ts'

export interface ParseOptions {
  /** Name of the file in errors and ranges, `Dockerfile` by default. */
  readonly name?: string
}

/** A file as far as it can be read, and everything that is wrong with it, in the order in which BuildKit would tell. */
export interface CheckedDockerfile {
  readonly dockerfile: ParsedDockerfile
  readonly errors: readonly BuilderError[]
}

const KEYWORDS = Object.keys(INSTRUCTIONS).map(upperCase)

/**
 * Parses a Dockerfile as BuildKit reads it.
 * @throws BuilderError `OCI_DOCKERFILE_PARSE` with BuildKit's message, the place and a code frame.
 * @example
 * const { stages } = parseDockerfile('FROM node:24 AS build\nRUN npm ci\n')
 * stages[0].instructions[0].kind // 'run'
 */
export function parseDockerfile(text: string | Uint8Array, options: ParseOptions = {}): ParsedDockerfile {
  const { dockerfile, errors } = readDockerfile(text, options)
  if (errors.length > 0) throw errors[0]!
  return dockerfile
}

/** Parses a Dockerfile and goes on behind errors, to report all of them together. */
export function checkDockerfile(text: string | Uint8Array, options: ParseOptions = {}): CheckedDockerfile {
  return readDockerfile(text, { ...options, collect: true })
}

/**
 * Parses instructions that need not belong to a stage, such as the deferred ones of ONBUILD.
 * @throws BuilderError as {@link parseDockerfile}.
 */
export function parseInstructions(text: string | Uint8Array, options: ParseOptions = {}): Instruction[] {
  const split = splitDockerfile(toText(text), options)
  if (split.errors.length > 0) throw split.errors[0]!
  return split.instructions.map((raw) => parseInstruction(raw))
}

/**
 * Gives one instruction its meaning.
 * @param syntax the frontend that the file asks for, which may know more instructions
 * @throws BuilderError `OCI_DOCKERFILE_PARSE`.
 */
function parseInstruction(raw: RawInstruction, syntax?: string): Instruction {
  const keyword = lowerCase(raw.keyword)
  if (!Object.hasOwn(INSTRUCTIONS, keyword)) {
    const message = withSuggestion(`unknown instruction: ${raw.keyword}`, raw.keyword, KEYWORDS)
    const image = otherFrontend(syntax)
    const hint = image && `the frontend of # syntax=${image} is not run, only docker/dockerfile is built in`
    throw instructionError(message, raw, rangesOf(raw).keyword, { hint })
  }
  try {
    return INSTRUCTIONS[keyword as Keyword].parse(raw)
  } catch (error) {
    if (!isComplaint(error)) throw error
    throw instructionError(error.message, raw, placeOf(error, raw), { cause: error })
  }
}

function placeOf({ flag }: Complaint, raw: RawInstruction): SourceRange {
  return (flag === undefined ? undefined : rangesOf(raw).flags[flag]) ?? raw.location
}

function instructionError(
  reason: string,
  raw: RawInstruction,
  place: SourceRange,
  options: Pick<DockerfileErrorOptions, 'cause' | 'hint'>,
): BuilderError {
  const message = `dockerfile parse error on line ${raw.location.start.line}: ${reason}`
  return dockerfileError(message, place, { frame: raw.location, details: { reason }, ...options })
}

function toText(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : decodeText(text)
}

interface OpenStage extends Stage {
  readonly instructions: StageInstruction[]
}

function readDockerfile(text: string | Uint8Array, options: SplitOptions): CheckedDockerfile {
  const split = splitDockerfile(toText(text), options)

  const errors = split.source.text === '' ? [emptyFile(split)] : [...split.errors]
  const metaArgs: ArgInstruction[] = []
  const stages: OpenStage[] = []
  for (const raw of split.instructions) {
    if (errors.length > 0 && options.collect !== true) break
    try {
      addInstruction(parseInstruction(raw, split.directives.syntax?.value), stages, metaArgs)
    } catch (error) {
      errors.push(error as BuilderError)
    }
  }
  return { dockerfile: { ...fileOf(split), metaArgs, stages }, errors }
}

function emptyFile({ source }: SplitDockerfile): BuilderError {
  return dockerfileError('the Dockerfile cannot be empty', rangeBetween(source, 0, 0))
}

function fileOf({
  source,
  directives,
  escapeToken,
  warnings,
}: SplitDockerfile): Omit<ParsedDockerfile, 'metaArgs' | 'stages'> {
  return { source, directives, escapeToken, warnings }
}

function addInstruction(instruction: Instruction, stages: OpenStage[], metaArgs: ArgInstruction[]): void {
  if (instruction.kind === 'from') stages.push(openStage(instruction, stages.length))
  else if (stages.length > 0) stages.at(-1)!.instructions.push(instruction)
  else if (instruction.kind === 'arg') metaArgs.push(instruction)
  else {
    throw dockerfileError('no build stage in current context', instruction.location, {
      hint: 'Begin the file with FROM; only ARG may stand before it.',
    })
  }
}

function openStage(from: FromInstruction, index: number): OpenStage {
  return {
    index,
    name: from.stageName,
    baseName: from.baseName,
    platformFlag: from.platform,
    from,
    instructions: [],
    location: from.location,
    comments: from.comments,
    docComment: findDocComment(from.comments, from.stageName),
  }
}
