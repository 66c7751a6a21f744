import { spawnSync } from 'node:child_process'
import { nativePartPath } from '../native.ts'

/**
 * Takes back what executors that ended without order left in the roots of their steps (isolation chroot moves caches there), and
 * removes their directories below `stateDirectory`. Waits for it: some milliseconds.
 * Throws OCI_RUNTIME_NATIVE_MISSING.
 */
export function sweepExecutors(stateDirectory: string): void {
  spawnSync(nativePartPath('launcher'), ['sweep', stateDirectory], { stdio: 'ignore', cwd: '/', env: {} })
}
