import { isTsOciError } from '../base/errors.ts'

/** A machine that lets no step be set up, or has not what sets one up: nothing of the vertex whose form is made. */
const OF_THE_STEP: ReadonlySet<string> = new Set([
  'OCI_RUNTIME_ISOLATION_UNAVAILABLE',
  'OCI_RUNTIME_NATIVE_MISSING',
  'OCI_RUNTIME_EXECUTOR',
  'OCI_RUNTIME_EXECUTOR_DIED',
])

/**
 * Makes a form that a later step will mount, where the time for it is told. That steps cannot run here at all is no failure
 * of who makes it: the step asks for the executor itself, and its instruction is the one to blame.
 */
export async function makeAhead(make: () => Promise<unknown>): Promise<void> {
  await make().catch(unlessOfTheStep)
}

/** Undefined for a failure that the step itself will meet; others are thrown on. */
export function unlessOfTheStep(error: unknown): undefined {
  if (isTsOciError(error) && OF_THE_STEP.has(error.code)) return undefined
  throw error
}
