/** The lists of families as plain data, for whoever makes flags and help of them: nothing that does work is loaded. */
export {
  isolations,
  networks,
  snapshots,
  type IsolationMode,
  type NetworkName,
  type SnapshotName,
} from '@ts-oci/runtime/families'
export { cacheBackends, type CacheType } from './cache/backends/list.ts'
export { outputs, type OutputType } from './exporters/list.ts'
