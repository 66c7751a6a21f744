/** The lists of the runtime's families as plain data: what a flag may say, and what its help tells. Loads nothing else. */
export { isolations, type IsolationMode } from './isolation/list.ts'
export { snapshots, type SnapshotName } from './snapshots/list.ts'
export { networks, type NetworkName } from './network/list.ts'
/** Checked before anything runs. */
export { findResourceFault } from './steps/resource-fault.ts'
export { rlimitNumbers } from './steps/rlimits.ts'
export type { StepResources } from './steps/types.ts'
