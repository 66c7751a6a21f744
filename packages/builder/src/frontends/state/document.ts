/** A state as a Dockerfile: what the frontend of Dockerfiles lowers, so that both mean the same to the byte. */
import { BuilderError } from '../../base/errors.ts'
import { createSourceFile, rangeOfLines, type SourceFile } from '../../base/source.ts'
import type {
  FromInstruction,
  ParsedDockerfile,
  RawInstruction,
  Stage,
  StageInstruction,
} from '../dockerfile/read/ast.ts'
import { mountSpec } from './mounts.ts'
import { firstLine, literal, shownText } from './text.ts'
import type { State, StateOrigin, StateStep } from './types.ts'

type LocalOrigin = Extract<StateOrigin, { kind: 'local' }>

export interface StateDocument {
  readonly parsed: ParsedDockerfile
  /** Directories that are read, by the names that instructions give them. */
  readonly locals: ReadonlyMap<string, LocalOrigin>
}

/** What a state's places are places in. */
const STATE_FILE = 'state'

/** @throws BuilderError OCI_OPTION_INVALID for a local directory in place of an image */
export function createDocument(state: State): StateDocument {
  if (state.origin.kind === 'local')
    throw new BuilderError('OCI_OPTION_INVALID', 'a local directory is no image', {
      hint: "scratch().copy(local(…), '/') makes one of its files",
    })
  const order = inOrder(state)
  const names = nameStates(order)
  const nameOf = (other: State): string => names.get(other)!
  const stages = order.filter(({ origin }) => origin.kind !== 'local')
  const lines = stages.map((stage) => [fromLine(stage), ...stepsOf(stage).map((step) => lineOf(step, nameOf))])
  const file = createSourceFile(STATE_FILE, `${lines.flat().join('\n')}\n`)
  let line = 1
  const parsed = stages.map((stage, index) => {
    // The last one is what is built: nobody reads it by a name.
    const made = toStage(stage, { index, name: stage === state ? '' : nameOf(stage), file, line, nameOf })
    line += made.instructions.length + 1
    return made
  })
  const locals = order.flatMap((one) => (one.origin.kind === 'local' ? [[nameOf(one), one.origin] as const] : []))
  return {
    parsed: { source: file, directives: {}, escapeToken: '\\', metaArgs: [], stages: parsed, warnings: [] },
    locals: new Map(locals),
  }
}

/** All states that one is made of, each behind those that it reads. */
function inOrder(state: State): readonly State[] {
  const order = new Set<State>()
  const stack: { readonly state: State; readonly sources: Iterator<State> }[] = []
  const push = (next: State): void => void stack.push({ state: next, sources: sourcesOf(next)[Symbol.iterator]() })
  push(state)
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { value, done } = top.sources.next()
    if (done === true) order.add(stack.pop()!.state)
    else if (!order.has(value)) push(value)
  }
  return [...order]
}

function sourcesOf(state: State): readonly State[] {
  return stepsOf(state).flatMap(({ from, mounts = [] }) => [
    ...(from === undefined ? [] : [from]),
    ...mounts.flatMap((mount) => (mount.from === undefined ? [] : [mount.from])),
  ])
}

function stepsOf(state: State): readonly StateStep[] {
  const steps: StateStep[] = []
  for (let list = state.steps; list !== undefined; list = list.before) steps.push(list.step)
  return steps.reverse()
}

/** Names that are no image's of this build: instructions look for both in one place. */
function nameStates(order: readonly State[]): ReadonlyMap<State, string> {
  const images = order.flatMap(({ origin }) => (origin.kind === 'image' ? [shownText(origin.reference)] : []))
  const prefix = (wanted: string): string =>
    images.some((reference) => reference.startsWith(`${wanted}-`)) ? prefix(`${wanted}-x`) : wanted
  const [state, directory] = [prefix('state'), prefix('local')]
  const directories = new Map<string, string>()
  return new Map(
    order.map((one, index) => {
      if (one.origin.kind !== 'local') return [one, `${state}-${index}`]
      const key = JSON.stringify([one.origin.directory, one.origin.ignore ?? null])
      const name = directories.get(key) ?? `${directory}-${index}`
      directories.set(key, name)
      return [one, name]
    }),
  )
}

interface StageOptions {
  readonly index: number
  readonly name: string
  readonly file: SourceFile
  /** Of its FROM. */
  readonly line: number
  readonly nameOf: (state: State) => string
}

function toStage(state: State, { index, name, file, line, nameOf }: StageOptions): Stage {
  const origin = state.origin as Exclude<StateOrigin, LocalOrigin>
  const baseName = origin.kind === 'image' ? literal(origin.reference) : 'scratch'
  const platformFlag = literal(origin.platform ?? '')
  const raw = (keyword: string, text: string, at: number): RawInstruction => ({
    keyword,
    flags: [],
    args: [],
    json: false,
    heredocs: [],
    original: text,
    comments: [],
    location: rangeOfLines(file, at, at),
    escape: '\\',
  })
  const instructions = stepsOf(state).map((step, at) => {
    const instruction = { ...raw(step.keyword, lineOf(step, nameOf), line + at + 1), ...step.draft }
    return withSources(instruction, step, nameOf)
  })
  const from: FromInstruction = {
    ...raw('FROM', fromLine(state), line),
    kind: 'from',
    baseName,
    stageName: name,
    stageNameAsWritten: name,
    asKeyword: name === '' ? '' : 'AS',
    platform: platformFlag,
  }
  const place = { location: from.location, comments: [], docComment: '' }
  return { index, name, baseName, platformFlag, from, instructions, ...place }
}

function withSources(
  instruction: StageInstruction,
  { from, mounts = [] }: StateStep,
  nameOf: (state: State) => string,
): StageInstruction {
  if (instruction.kind === 'run') return { ...instruction, mountSpecs: mounts.map((mount) => mountSpec(mount, nameOf)) }
  if (from !== undefined && (instruction.kind === 'copy' || instruction.kind === 'add'))
    return { ...instruction, from: nameOf(from) }
  return instruction
}

function fromLine({ origin }: State): string {
  return `FROM ${origin.kind === 'image' ? firstLine(shownText(origin.reference)) : 'scratch'}`
}

function lineOf({ keyword, shown, from }: StateStep, nameOf: (state: State) => string): string {
  return `${keyword} ${from === undefined ? '' : `--from=${nameOf(from)} `}${shown.replaceAll('\n', ' ')}`
}
