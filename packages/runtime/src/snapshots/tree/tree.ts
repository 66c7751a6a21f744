import type { OpenedSnapshots } from '../types.ts'

/** A plain directory works wherever files do. */
export async function open(): Promise<OpenedSnapshots> {
  return {}
}
