import { fetchBlob, inflateBlob, scanTar } from './blob-form.ts'
import type { Conversion } from './conversion.ts'
import { packSelection, packTree } from './tar-form.ts'
import { extractBlob, extractTar, materializeSelection, materializeTar } from './tree-form.ts'

/** Every way from one form to another. A new form is a file beside this with what makes it, and its lines here. */
export const CONVERSIONS: readonly Conversion[] = [
  // Fetching makes the table on its way, and the tree where one will be needed.
  { from: 'remote', to: 'blob', cost: 100, ...fetchBlob },
  { from: 'blob', to: 'tar', cost: 8, ...inflateBlob },
  { from: 'blob', to: 'table', cost: 8, ...inflateBlob },
  { from: 'tar', to: 'table', cost: 4, ...scanTar },
  { from: 'selection', to: 'tar', cost: 4, ...packSelection },
  { from: 'tree', to: 'tar', cost: 5, ...packTree },
  { from: 'selection', to: 'tree', cost: 4, ...materializeSelection },
  { from: 'tar', to: 'tree', cost: 5, ...materializeTar },
  { from: 'tar', to: 'tree', cost: 6, ...extractTar },
  { from: 'blob', to: 'tree', cost: 10, ...extractBlob },
]
