/** `--check`: everything that can be said about a Dockerfile without running it. */
import { BuilderError } from '../../errors.ts'
import type { SourceFile } from '../../source.ts'
import type { ParsedDockerfile } from './ast.ts'
import { checkParsed } from './checks/check-file.ts'
import { DEFAULT_CHECKS } from './checks/config.ts'
import { createLinter, violationOf } from './checks/linter.ts'
import type { CheckFinding, Linter } from './checks/rule.ts'
import { checkConfigOf, lower } from './lower.ts'
import type { LowerEnvironment, LowerOptions } from './lower-types.ts'
import { checkDockerfile, type ParseOptions } from './parse.ts'

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
  const config = errors.length === 0 ? checkConfigOf(dockerfile, options) : { ...DEFAULT_CHECKS, ...tryConfig(dockerfile, options) }
  const linter = createLinter(config, (finding) => findings.push(finding))
  if (errors.length > 0) {
    checkBefore(dockerfile, errors[0]!, linter)
    return result
  }
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

// BuildKit checks instruction by instruction while it parses, and stops at the first that it cannot parse.
function checkBefore(dockerfile: ParsedDockerfile, error: BuilderError, linter: Linter): void {
  const line = error.location?.startLine ?? 1
  const isBefore = (place: { readonly location: { readonly start: { readonly line: number } } }): boolean => place.location.start.line < line
  const stages = dockerfile.stages.filter(isBefore).map((stage) => ({ ...stage, instructions: stage.instructions.filter(isBefore) }))
  checkParsed({ ...dockerfile, metaArgs: dockerfile.metaArgs.filter(isBefore), stages }, linter)
}
