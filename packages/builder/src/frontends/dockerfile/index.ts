export type * from './ast.ts'
export {
  createEnvironment,
  expandWord,
  expandWords,
  type Environment,
  type Expansion,
  type ExpandOptions,
} from './expand.ts'
export {
  checkDockerfile,
  parseDockerfile,
  parseInstructions,
  type CheckedDockerfile,
  type ParseOptions,
} from './parse.ts'
export { rangesOf } from './ranges.ts'
export { printDockerfile, printInstruction } from './print.ts'
export { lowerDockerfile } from './lower.ts'
export type * from './lower-types.ts'
export { lintDockerfile, type LintResult } from './lint.ts'
export { outlineDockerfile, type DockerfileOutline } from './outline.ts'
export { listTargets, type TargetList } from './targets.ts'
export {
  formatCheck,
  formatCheckJson,
  formatOutline,
  formatOutlineJson,
  formatTargets,
  formatTargetsJson,
  type CallOutput,
} from './call-format.ts'
export { CHECK_RULES } from './checks/index.ts'
export type { CheckFinding, CheckRule } from './checks/rule.ts'
export { parseGitReference, type GitReference } from './git-reference.ts'
