import { errnoName } from './errno.ts'
import { RuntimeError } from './errors.ts'
import { native } from './native.ts'

/**
 * Lets SIGINT, SIGTERM and SIGHUP act whatever the main thread does: the first goes to the listeners that the process
 * has; a second one, or listeners that did not end the process within `graceSeconds`, end it with status 128 + signal.
 * To be called behind `process.on`. Throws OCI_RUNTIME_NATIVE_MISSING, OCI_RUNTIME_FILES.
 */
export function guardSignals(graceSeconds: number): void {
  const result = native().guardSignals(graceSeconds)
  if (result < 0) throw new RuntimeError('OCI_RUNTIME_FILES', `sigaction: ${errnoName(-result)}`)
}
