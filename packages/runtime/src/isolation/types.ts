/** How ids inside the executor map to ids outside. */
export type IdMapping =
  | { readonly kind: 'identity' }
  | {
      readonly kind: 'subordinate'
      readonly uid: number
      readonly gid: number
      readonly subUidStart: number
      readonly subUidCount: number
      readonly subGidStart: number
      readonly subGidCount: number
    }
  /** As root, by maps of its own: root inside is `uidStart` and `gidStart` outside, the others follow. */
  | {
      readonly kind: 'shifted'
      readonly uidStart: number
      readonly uidCount: number
      readonly gidStart: number
      readonly gidCount: number
    }
  | { readonly kind: 'single'; readonly uid: number; readonly gid: number }

/** One way to start the launcher: its MAP arguments, and what they mean. */
export interface LaunchPlan {
  readonly map: readonly string[]
  readonly idMapping: IdMapping
}

/** What failed where an isolation was tried before: an operation of the launcher, and its errno. */
export interface Failure {
  readonly operation: string
  readonly errno: string
}

export interface Refusal {
  readonly reason: string
  readonly remedy: string
  /** The remedy is all that it takes to have steps here, in this isolation if in none before it: what a build hints. */
  readonly isLeast?: true
}

/** `directory`: it mounts nothing, so a step's root is a plain directory, and so are the sources of its mounts. */
export type StepRoots = 'any' | 'directory'

/** A way to isolate steps: what the module of a member exports. */
export interface Isolation {
  readonly overlayXattr: 'trusted' | 'user'
  /** Absent: any. */
  readonly roots?: StepRoots
  /** What a build says once, in the first step: a boundary that is not what people expect of one. */
  notice?(): string
  /** Why `auto` does not take it where those before it failed so; absent: it may. */
  refusedAfter?(failures: readonly Failure[]): Refusal | undefined
  /** What to try, the strongest first; or why there is nothing to try. */
  plans(): readonly LaunchPlan[] | Refusal
  /** Why a start failed and what helps. */
  explain(operation: string, errno: string): Refusal
}

/** A line of the list: plain data for flags and help; the module is loaded when somebody wants to isolate by it. */
export interface IsolationEntry {
  readonly name: string
  /** What it is, in a few words for a help text. */
  readonly summary: string
  /** Nothing that guards, of steps or of file jobs, is a mount. */
  readonly mountsNothing?: true
  load(): Promise<Isolation>
}

export function isRefusal(value: readonly LaunchPlan[] | Refusal): value is Refusal {
  return 'reason' in value
}
