/** What the instructions of a file share while they are lowered. */
import type { ExecMeta } from '../../../graph/op-specs.ts'
import type { SourceRange } from '../../../base/source.ts'
import type { StageInstruction } from '../read/ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import type { IgnoredPaths } from '../checks/copy-ignored-file.ts'
import type { Linter } from '../checks/rule.ts'
import { checkUndefinedVar } from '../checks/undefined-var.ts'
import { expandWord } from '../expand/expand.ts'
import type { TextBudget } from '../expand/text-budget.ts'
import type { LowerOptions } from '../../types.ts'
import { environmentOf } from './build-state.ts'
import type { ErrorSink } from './locate.ts'
import type { Output, PendingGraph } from './pending.ts'
import type { StageCommand, StageState } from './stage-state.ts'

export interface FileContext {
  readonly options: LowerOptions
  readonly graph: PendingGraph
  readonly escape: EscapeToken
  readonly budget: TextBudget
  readonly linter: Linter
  /** Platform arguments and the ARGs above the first FROM. */
  readonly globalArgs: ReadonlyMap<string, string>
  readonly buildArgs: ReadonlyMap<string, string>
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch: number | undefined
  readonly proxyEnv: ExecMeta['proxyEnv']
  /** The main build context. */
  readonly contextOutput: Output
  readonly ignored: IgnoredPaths | undefined
  /** Where errors of instructions go; undefined: the first is thrown. */
  readonly onError: ErrorSink | undefined
}

/** One instruction in its stage. */
export interface InstructionContext extends FileContext {
  readonly stage: StageState
  readonly command: StageCommand
  readonly location: SourceRange
  /** Expands a word with the variables of the stage; unknown ones are reported. */
  expand(word: string): string
  /** As `expand`, for the body of a heredoc: quotes are characters. */
  expandBody(text: string): string
}

/** An instruction's effect on its stage. */
export type Lowering<I extends StageInstruction = StageInstruction> = (
  context: InstructionContext,
  instruction: I,
) => void

/** Arguments that say something to the builder and are no variables of steps. */
export const NON_VARIABLE_ARGS: ReadonlySet<string> = new Set([
  'BUILDKIT_SBOM_SCAN_CONTEXT',
  'BUILDKIT_SBOM_SCAN_STAGE',
])

export function createInstructionContext(
  file: FileContext,
  stage: StageState,
  command: StageCommand,
): InstructionContext {
  const { location, comments } = command.instruction
  const linter = file.linter.forComments(comments)
  const expandWith = (word: string, isBody: boolean): string => {
    const options = isBody ? ({ escape: '\\', ignoreQuotes: true } as const) : { escape: file.escape }
    const expansion = expandWord(word, environmentOf(stage.state), options)
    file.budget.spend(expansion.text.length)
    if (expansion.unmatched.size > 0) reportUnmatched(expansion.unmatched, stage, location, linter)
    return expansion.text
  }
  return {
    ...file,
    linter,
    stage,
    command,
    location,
    expand: (word) => expandWith(word, false),
    expandBody: (text) => expandWith(text, true),
  }
}

function reportUnmatched(
  unmatched: ReadonlySet<string>,
  stage: StageState,
  location: SourceRange,
  linter: Linter,
): void {
  const isDeclared = (name: string): boolean => NON_VARIABLE_ARGS.has(name) || stage.arguments.has(name)
  checkUndefinedVar(unmatched, isDeclared, () => [...stage.state.env.keys()], location, linter)
}
