export { EXPORTERS } from './list.ts'
export { prepareOutputs, type LooseOutput } from './prepare.ts'
export type * from './types.ts'
