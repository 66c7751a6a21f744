import type { ProgressEvent } from '@ts-oci/builder'

/** Shows the progress of one piece of work. */
export interface Renderer {
  event(event: ProgressEvent): void
  /** Shows what was held back, and the last output of what failed. Call it once. */
  finish(): void
}
