import type { IdMapping, IsolationMode } from '../types.ts'

/** One way to start the launcher: its MAP arguments, and what they mean. */
export interface LaunchPlan {
  readonly map: readonly string[]
  readonly idMapping: IdMapping
}

export interface Refusal {
  readonly reason: string
  readonly remedy: string
}

/** A way to isolate steps. */
export interface Isolation {
  readonly mode: IsolationMode
  readonly overlayXattr: 'trusted' | 'user'
  /** What to try, the strongest first; or why there is nothing to try. */
  plans(): readonly LaunchPlan[] | Refusal
  /** Why a start failed and what helps. */
  explain(operation: string, errno: string): Refusal
}

export function isRefusal(value: readonly LaunchPlan[] | Refusal): value is Refusal {
  return 'reason' in value
}
