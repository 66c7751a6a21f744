import { RuntimeError } from '../errors.ts'
import { isolations, type IsolationMode } from './list.ts'
import type { IsolationEntry } from './types.ts'

/** What to try for a wish. Throws OCI_RUNTIME_UNSUPPORTED for an unknown name. */
export function isolationsFor(
  wish: 'auto' | IsolationMode,
): readonly (IsolationEntry & { readonly name: IsolationMode })[] {
  const found = isolations.filter(({ name }) => wish === 'auto' || name === wish)
  if (found.length > 0) return found
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown isolation ${wish}`, {
    hint: `known: auto, ${isolations.map(({ name }) => name).join(', ')}`,
  })
}
