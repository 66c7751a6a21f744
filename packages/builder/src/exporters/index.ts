export { outputs, type OutputSpec, type OutputType } from './list.ts'
export { prepareOutputs, type LooseOutput } from './prepare.ts'
export type { ExportDefaults, Exporter, ExportImage, ExportResult, ExportSource, PreparedExport } from './types.ts'
