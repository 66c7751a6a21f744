import type { Digest } from '../oci/digest.ts'
import type { ContentSelector, View } from '../view/types.ts'

/** A build context that is read where it lies. */
export interface LocalResult {
  readonly kind: 'local'
  readonly view: View
  /** Digest over paths of the view; never over times. */
  digestPaths(paths: readonly ContentSelector[]): Promise<Digest>
  /** The same by BuildKit's rules: those of today first, then older ones where they differ. */
  sharedDigests(paths: readonly ContentSelector[]): Promise<readonly Digest[]>
  /** A mark for each path, to tell later which of them changed; undefined when there are too many. */
  describePaths?(paths: readonly ContentSelector[]): Promise<Readonly<Record<string, string>> | undefined>
}
