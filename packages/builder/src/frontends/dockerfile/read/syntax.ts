/** What each keyword contributes to reading: how its arguments are cut, and what they mean. */
import type { Instruction, Keyword, RawInstruction } from './ast.ts'
import type { EscapeToken } from '../expand/types.ts'

/** Arguments of one instruction, cut. */
export interface CutArguments {
  readonly args: readonly string[]
  readonly json?: boolean
  readonly child?: RawInstruction
}

export interface CutContext {
  readonly escape: EscapeToken
  /** Cuts a whole instruction: ONBUILD has one inside. */
  readonly cutInstruction: (line: string) => RawInstruction
}

/** One keyword of the language. */
export interface InstructionSyntax<I extends Instruction = Instruction> {
  readonly keyword: Keyword
  /** It may be followed by the bodies of here-documents. */
  readonly takesHeredocs?: boolean
  /** The instruction inside may be followed by them. */
  readonly wrapsInstruction?: boolean
  /**
   * Cuts the text behind the flags, trimmed and perhaps empty.
   * @throws Complaint
   */
  cut(rest: string, context: CutContext): CutArguments
  /**
   * Gives the arguments their meaning.
   * @throws Complaint
   */
  parse(raw: RawInstruction): I
}
