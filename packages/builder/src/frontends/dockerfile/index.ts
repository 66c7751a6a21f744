export type * from './read/ast.ts'
export { createEnvironment, expandWord, expandWords } from './expand/expand.ts'
export { type Environment, type Expansion, type ExpandOptions } from './expand/types.ts'
export {
  checkDockerfile,
  parseDockerfile,
  parseInstructions,
  type CheckedDockerfile,
  type ParseOptions,
} from './read/parse.ts'
export { rangesOf } from './read/ranges.ts'
export { printDockerfile, printInstruction } from './read/print.ts'
export { lowerDockerfile } from './lower/lower.ts'
export type { LowerEnvironment, LowerOptions } from '../types.ts'
export type { LoweredImage } from '../../image/lowered.ts'
export { lintDockerfile, type LintResult } from './answers/lint.ts'
export { outlineDockerfile, type DockerfileOutline } from './answers/outline.ts'
export { listTargets, type TargetList } from './answers/targets.ts'
export {
  formatCheck,
  formatCheckJson,
  formatOutline,
  formatOutlineJson,
  formatTargets,
  formatTargetsJson,
  type CallOutput,
} from './answers/call-format.ts'
export { CHECK_RULES } from './checks/list.ts'
export type { CheckFinding, CheckRule } from './checks/rule.ts'
export { parseGitReference, type GitReference } from './read/git-reference.ts'
