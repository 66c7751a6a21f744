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
