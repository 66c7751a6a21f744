/** `--check`: everything that can be said about a Dockerfile without running it. */
import { BuilderError } from '../../../base/errors.ts'
import type { SourceFile } from '../../../base/source.ts'
import type { ParsedDockerfile, RawInstruction } from '../read/ast.ts'
import { checkFromAsCasing } from '../checks/from-as-casing.ts'
import { checkMaintainerDeprecated } from '../checks/maintainer-deprecated.ts'
import { checkParsed } from '../lower/check-file.ts'
import { checkStageNameCasing } from '../checks/stage-name-casing.ts'
import { DEFAULT_CHECKS } from '../checks/config.ts'
import { createLinter, violationOf } from '../checks/linter.ts'
import type { CheckFinding, Linter } from '../checks/rule.ts'
import { checkConfigOf, lower } from '../lower/lower.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import { checkDockerfile, type ParseOptions } from '../read/parse.ts'
import { splitDockerfile } from '../read/split.ts'
import { decodeText, lowerCase } from '../../../base/text.ts'

export interface LintResult {
  readonly source: SourceFile
  /** In the order in which BuildKit tells them. */
  readonly findings: readonly CheckFinding[]
  /** First the one that BuildKit stops at. */
  readonly errors: readonly BuilderError[]
}

/**
 * Checks a Dockerfile: the target's stages, or all of them when no target is given. Nothing is run; configs of bases are
 * asked for. Errors are in the result; what is thrown is about the options or a bug.
 */
export async function lintDockerfile(
  text: string | Uint8Array,
  options: LowerOptions,
  environment: LowerEnvironment,
  parseOptions: ParseOptions = {},
): Promise<LintResult> {
  const { dockerfile, errors } = checkDockerfile(text, parseOptions)
  const findings: CheckFinding[] = []
  const found: BuilderError[] = [...errors]
  const result = { source: dockerfile.source, findings, errors: found }
  const config =
    errors.length === 0 ? checkConfigOf(dockerfile, options) : { ...DEFAULT_CHECKS, ...tryConfig(dockerfile, options) }
  const [first] = errors
  if (first !== undefined) {
    if (isAboutMeaning(first))
      checkBefore(
        text,
        dockerfile,
        first,
        createLinter(config, (finding) => findings.push(finding)),
      )
    return result
  }
  // BuildKit stops at its first error, and so do its findings.
  const linter = createLinter(config, (finding) => found.length === 0 && findings.push(finding))
  const isAll = options.target === undefined || options.target === ''
  try {
    await lower(dockerfile, { ...options, allStages: isAll }, environment, linter, (error) => found.push(error))
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error
    if (!found.includes(error)) found.push(error)
  }
  const violation = found.length > 0 ? undefined : violationOf(config, findings)
  if (violation !== undefined) found.push(new BuilderError('OCI_DOCKERFILE_CHECK', violation))
  return result
}

function tryConfig(dockerfile: ParsedDockerfile, options: LowerOptions): Partial<typeof DEFAULT_CHECKS> {
  try {
    return checkConfigOf(dockerfile, options)
  } catch {
    return {}
  }
}

// The lines of a file are read as a whole before the first instruction is given its meaning, and checked.
function isAboutMeaning({ message }: BuilderError): boolean {
  return message.startsWith('dockerfile parse error on line') || message === 'no build stage in current context'
}

// BuildKit checks instruction by instruction while it parses, and stops at the first that it cannot parse.
function checkBefore(
  text: string | Uint8Array,
  dockerfile: ParsedDockerfile,
  error: BuilderError,
  linter: Linter,
): void {
  const line = error.location?.startLine ?? 1
  const isBefore = (place: { readonly location: { readonly start: { readonly line: number } } }): boolean =>
    place.location.start.line < line
  const stages = dockerfile.stages
    .filter(isBefore)
    .map((stage) => ({ ...stage, instructions: stage.instructions.filter(isBefore) }))
  checkParsed({ ...dockerfile, metaArgs: dockerfile.metaArgs.filter(isBefore), stages }, linter)
  const { instructions } = splitDockerfile(typeof text === 'string' ? text : decodeText(text), { collect: true })
  const failed = instructions.find((raw) => raw.location.start.line <= line && raw.location.end.line >= line)
  if (failed !== undefined) checkUnparsed(failed, linter.forComments(failed.comments))
}

// Some checks speak before the instruction itself is looked at.
function checkUnparsed(raw: RawInstruction, linter: Linter): void {
  const keyword = lowerCase(raw.keyword)
  if (keyword === 'maintainer') checkMaintainerDeprecated(raw, linter)
  if (keyword !== 'from' || raw.args.length < 3) return
  const { keyword: written, location, args } = raw
  if (args.length === 3) checkStageNameCasing({ stageNameAsWritten: args[2]!, location }, linter)
  checkFromAsCasing({ keyword: written, asKeyword: args[1]!, location }, linter)
}
