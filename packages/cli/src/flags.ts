import type { CommandSpec } from './flag-types.ts'
import { build } from './flags/build.ts'
import { debugExpand, debugIgnore, debugLlb, debugParse } from './flags/debug.ts'
import { history, images, inspect, pull, push, rmi, tag } from './flags/images.ts'
import { info, prune } from './flags/store.ts'

export {
  build,
  debugExpand,
  debugIgnore,
  debugLlb,
  debugParse,
  history,
  images,
  info,
  inspect,
  prune,
  pull,
  push,
  rmi,
  tag,
}

/** Every command; the names that `tsbuild` knows. */
export const specs: readonly CommandSpec[] = [
  build,
  images,
  history,
  inspect,
  tag,
  rmi,
  pull,
  push,
  prune,
  info,
  debugParse,
  debugExpand,
  debugIgnore,
  debugLlb,
]
