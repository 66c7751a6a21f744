import type { LayerHandle } from '../../forms/types.ts'
import type { ViewEntry } from '../../layer/types.ts'
import { toByteString } from '../../byte-string.ts'
import type { OpsEnvironment } from '../environment.ts'
import type { LocalResult } from '../types.ts'

/** What a mount shows of a build context, as a layer: the selected path and the directories above it. */
export function contextLayer(environment: OpsEnvironment, context: LocalResult, selector: string): LayerHandle {
  const path = trimSlashes(toByteString(selector))
  const entries: ViewEntry[] = []
  const parts = path === '' ? [] : path.split('/')
  for (let depth = 1; depth <= parts.length; depth++) {
    const entry = context.view.entry(parts.slice(0, depth).join('/'))
    if (entry) entries.push(entry)
  }
  entries.push(...context.view.walk(path))
  return environment.forms.fromSelection(entries, { createdMs: Date.now(), description: 'mount from the build context' })
}

function trimSlashes(path: string): string {
  return path.split('/').filter((part) => part !== '' && part !== '.').join('/')
}
