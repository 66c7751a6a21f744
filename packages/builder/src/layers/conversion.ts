import type { LayerRecord } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import type { FormsState } from './forms-state.ts'
import type { LayerHandle } from './types.ts'

/** A form that is made of another one. */
export type FormName = 'blob' | 'table' | 'tar' | 'tree'

/** What a form is made of: `remote` and `selection` are never made. */
export type SourceName = FormName | 'remote' | 'selection'

/** What a conversion gave, not recorded yet. */
export interface Made {
  readonly forms: Partial<LayerRecord>
  /** The layer's table, where it was read or written on the way. */
  readonly entries?: readonly LayerEntry[] | undefined
}

/**
 * One way from a form of a layer to another: a function of source and target that takes no lock, records nothing and asks
 * for no other form. What it needs besides is found by `prepare`, before the target is locked.
 */
export interface Conversion {
  readonly from: SourceName
  readonly to: FormName
  /** Of the ways that are open the cheapest is taken: about what a byte costs. */
  readonly cost: number
  /** What it made is synced at once: it is kept, whatever becomes of the build. */
  readonly isCostly?: boolean
  readonly applies?: (state: FormsState, layer: LayerHandle) => boolean
  /** Entries whose bytes can be read where they say. */
  readonly prepare?: (state: FormsState, layer: LayerHandle) => Promise<readonly LayerEntry[]>
  readonly convert: (state: FormsState, layer: LayerHandle, entries: readonly LayerEntry[]) => Promise<Made>
}

/** The layer came with an image: its bytes are those that its image names, never packed anew from a tree. */
export function isPulled(state: FormsState, layer: LayerHandle): boolean {
  const record = state.record(layer)
  return record !== undefined && (record.remote !== undefined || record.blobs.some((blob) => blob.origin === 'pulled'))
}
