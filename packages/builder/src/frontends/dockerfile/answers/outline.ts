/** `--call=outline`: what a target takes from outside. */
import type { SourceFile, SourceRange } from '../../../base/source.ts'
import { createLinter } from '../checks/linter.ts'
import type { CheckFinding } from '../checks/rule.ts'
import { checkConfigOf, lower } from '../lower/lower.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import type { Outline, OutlineSource } from '../lower/outline.ts'
import type { StageState } from '../lower/stage-state.ts'
import { parseDockerfile, type ParseOptions } from '../read/parse.ts'

export interface OutlineArg {
  readonly name: string
  readonly description: string
  readonly value: string
  readonly location: SourceRange
}

export interface OutlineRequirement {
  readonly name: string
  readonly required: boolean
  readonly location: SourceRange
}

export interface DockerfileOutline {
  /** Empty for an unnamed stage. */
  readonly name: string
  readonly description: string
  readonly args: readonly OutlineArg[]
  readonly secrets: readonly OutlineRequirement[]
  readonly ssh: readonly OutlineRequirement[]
  readonly source: SourceFile
  readonly findings: readonly CheckFinding[]
}

/** Arguments, secrets and SSH agents that the target and the stages behind it use. @throws BuilderError */
export async function outlineDockerfile(
  text: string | Uint8Array,
  options: LowerOptions,
  environment: LowerEnvironment,
  parseOptions: ParseOptions = {},
): Promise<DockerfileOutline> {
  const parsed = parseDockerfile(text, parseOptions)
  const findings: CheckFinding[] = []
  const linter = createLinter(checkConfigOf(parsed, options), (finding) => findings.push(finding))
  const { target } = await lower(parsed, options, environment, linter)
  const stages = stagesBehind(target)
  return {
    name: target.name,
    description: target.stage?.docComment ?? '',
    args: byLine(collect(stages, usedArguments)),
    secrets: byLine(collect(stages, ({ secrets }) => requirements(secrets))),
    ssh: byLine(collect(stages, ({ ssh }) => requirements(ssh))),
    source: parsed.source,
    findings,
  }
}

// The target, what it builds on, then what it reads: the first mention of a name counts.
function stagesBehind(target: StageState): StageState[] {
  const order: StageState[] = []
  const open = [target]
  const seen = new Set<StageState>()
  for (let stage = open.pop(); stage !== undefined; stage = open.pop()) {
    if (seen.has(stage)) continue
    seen.add(stage)
    order.push(stage)
    open.push(...[...stage.dependencies.keys()].reverse())
    if (stage.base !== undefined) open.push(stage.base)
  }
  return order
}

function collect<T extends { readonly name: string }>(
  stages: readonly StageState[],
  read: (outline: Outline) => readonly T[],
): T[] {
  const found = new Map<string, T>()
  for (const { outline } of stages)
    for (const item of read(outline)) if (!found.has(item.name)) found.set(item.name, item)
  return [...found.values()]
}

function byLine<T extends { readonly location: SourceRange }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => a.location.start.line - b.location.start.line)
}

// An argument that only the default of another refers to is used as well.
function usedArguments({ arguments: known, used }: Outline): OutlineArg[] {
  const names = new Set(used)
  for (const name of names) for (const dependency of known.get(name)?.dependencies ?? []) names.add(dependency)
  return [...names].flatMap((name) => {
    const argument = known.get(name)
    if (argument === undefined) return []
    const { definition, value, location } = argument
    return [{ name: definition.key, description: definition.docComment, value, location }]
  })
}

function requirements(sources: ReadonlyMap<string, OutlineSource>): OutlineRequirement[] {
  return [...sources].map(([name, { required, location }]) => ({ name, required, location }))
}
