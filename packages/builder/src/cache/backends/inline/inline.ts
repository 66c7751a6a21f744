import { readAttributes } from '../../../exporters/attributes.ts'
import type { CacheBackend, CacheSpec, PreparedCacheExport } from '../types.ts'

/** `type=inline`: the keys of the image's own layers in its config. It is read as what it is: an image in a registry. */
export const backend: CacheBackend = { prepareExport }

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('inline', attrs, 'cache')
  // It has no layers of its own: whatever else is said of them says nothing.
  attributes.text('mode')
  const ignoresErrors = attributes.flag('ignore-error') ?? false
  attributes.end()
  const compression = { compression: 'gzip', force: false } as const
  return { name: 'preparing layers for inline cache', mode: 'min', isInline: true, ignoresErrors, compression }
}
