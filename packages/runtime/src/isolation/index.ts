import { RuntimeError } from '../errors.ts'
import type { ExecutorOptions } from '../types.ts'
import { namespaceIsolation } from './namespace/index.ts'
import { rootlessIsolation } from './rootless/index.ts'
import type { Isolation } from './types.ts'

/** The strongest first: the order in which `auto` tries them. */
export const isolations: readonly Isolation[] = [namespaceIsolation, rootlessIsolation]

/** What to try for a wish. Throws OCI_RUNTIME_UNSUPPORTED for an unknown name. */
export function isolationsFor(wish: ExecutorOptions['isolation']): readonly Isolation[] {
  const found = isolations.filter(({ mode }) => wish === 'auto' || mode === wish)
  if (found.length > 0) return found
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown isolation ${wish}`, {
    hint: `known: auto, ${isolations.map(({ mode }) => mode).join(', ')}`,
  })
}
