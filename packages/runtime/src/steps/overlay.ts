import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { OverlayRoot } from './types.ts'

/** The kernel stacks 500 lower directories; two are ours (mount points below and, if layers hide some, above). */
export const overlayLimit = 497

/**
 * Makes `upper` and `work` in an empty directory and gives the root for a step that writes there.
 * The upper directory takes mode and owner of the layer below when the step starts.
 */
export function prepareOverlay(directory: string, lowers: readonly string[]): OverlayRoot {
  const upper = join(directory, 'upper')
  const work = join(directory, 'work')
  mkdirSync(upper, { mode: 0o755 })
  mkdirSync(work, { mode: 0o700 })
  return { kind: 'overlay', lowers, upper, work }
}
