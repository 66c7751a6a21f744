import type { LayerFactory, LayerHandle } from '../layers/types.ts'
import type { LayerEntry, View, ViewEntry } from '../view/types.ts'
import { toByteString, type ByteString } from '../base/byte-string.ts'
import type { Result } from '../solver/types.ts'
import type { LocalResult } from '../context/types.ts'

type SelectionForms = Pick<LayerFactory, 'fromSelection'>

// Not a field of the result: the rooms `context` and `layers` stand on one floor, and do not know each other. Each result
// is one build's, as its layer is.
const whole = new WeakMap<LocalResult, LayerHandle>()

/** The layers of a result; a build context that something stands on is one layer with all of it. */
export function layersOf(forms: SelectionForms, result: Result): readonly LayerHandle[] {
  if (result.kind === 'layers') return result.layers
  const layer = whole.get(result) ?? contextLayer(forms, result, '/')
  whole.set(result, layer)
  return [layer]
}

/**
 * What a mount shows of a build context, as a layer: the selected path, the directories above it, and every symlink on
 * the way with what it leads to, as the mount resolves them once more.
 */
export function contextLayer(forms: SelectionForms, context: LocalResult, selector: string): LayerHandle {
  const entries = new Map<ByteString, ViewEntry>()
  const selected = collectWay(context.view, toByteString(selector), entries)
  for (const entry of context.view.walk(selected)) entries.set(entry.path, entry)
  return forms.fromSelection(withHardLinks([...entries.values()]), {
    createdMs: Date.now(),
    description: 'mount from the build context',
  })
}

/** As the kernel: more links than these are taken for a circle. */
const MAX_LINKS = 40

/** Adds the entry of each step of the way; gives where it ends, with every link followed inside the context. */
function collectWay(view: View, selector: ByteString, entries: Map<ByteString, ViewEntry>): ByteString {
  let names: ByteString[] = []
  const rest = partsOf(selector).reverse()
  for (let links = 0; rest.length > 0 && links <= MAX_LINKS;) {
    const part = rest.pop()!
    if (part === '..') {
      names.pop()
      continue
    }
    const path = [...names, part].join('/')
    const entry = view.entry(path)
    if (entry !== undefined) entries.set(path, entry)
    if (entry?.type !== 'symlink') {
      names.push(part)
      continue
    }
    links++
    const target = entry.link ?? ''
    if (target.startsWith('/')) names = []
    rest.push(...partsOf(target).reverse())
  }
  return names.join('/')
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

function partsOf(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}
