import type { Digest } from '../oci/digest.ts'
import type { ContentSelector, View } from '../view/types.ts'

/** A build context that is read where it lies. */
export interface LocalResult {
  readonly kind: 'local'
  readonly view: View
  /** Digest over paths of the view, by our rules or by BuildKit's; never over times. */
  digestPaths(paths: readonly ContentSelector[], rules?: 'own' | 'shared'): Promise<Digest>
  /** A mark for each path, to tell later which of them changed; undefined when there are too many. */
  describePaths?(paths: readonly ContentSelector[]): Promise<Readonly<Record<string, string>> | undefined>
}
