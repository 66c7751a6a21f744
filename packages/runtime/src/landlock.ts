import { native } from './native.ts'

/**
 * The version of Landlock that this kernel offers, 0 for none (built without it, or not in its list of security modules).
 * From 2 on the process for file jobs reads and writes nothing but what it was given; without, the read-only mounts and
 * the filter stand, and what root may read it may read.
 */
export function landlockVersion(): number {
  return Math.max(0, native().landlockVersion())
}
