import type { LayerHandle } from '../../forms/types.ts'
import type { LayerEntry, ViewEntry } from '../../layer/types.ts'
import { toByteString, type ByteString } from '../../byte-string.ts'
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
  return environment.forms.fromSelection(withHardLinks(entries), { createdMs: Date.now(), description: 'mount from the build context' })
}

/** Of several names of one file the first holds the bytes. */
function withHardLinks(entries: readonly ViewEntry[]): LayerEntry[] {
  const first = new Map<string, ByteString>()
  return entries.map(({ linkKey, ...entry }) => {
    const target = linkKey === undefined ? undefined : first.get(linkKey)
    if (linkKey !== undefined && target === undefined) first.set(linkKey, entry.path)
    if (target === undefined) return entry
    const { content: _content, contentDigest: _digest, ...rest } = entry
    return { ...rest, type: 'hardlink', size: 0, link: target }
  })
}

function trimSlashes(path: string): string {
  return path.split('/').filter((part) => part !== '' && part !== '.').join('/')
}
