import { toByteString } from '../../base/byte-string.ts'
import type { FileActionCopy } from '../../graph/op-specs.ts'
import type { View } from '../../view/types.ts'

/** Sources of `--parents` are patterns, which may find nothing: a literal one must exist all the same. The first that does not. */
export function missingPath({ requiredPaths = [] }: FileActionCopy, view: View | undefined): string | undefined {
  return requiredPaths.find((path) => view?.lookup(toByteString(path)) === undefined)
}
