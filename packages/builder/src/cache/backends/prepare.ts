import { BuilderError } from '../../base/errors.ts'
import { findSuggestion } from '../../base/suggest.ts'
import { cacheBackends } from './list.ts'
import { takeMountAttributes } from './mount-attributes.ts'
import type { CacheBackend, CacheSpec, PreparedCacheExport, PreparedImport } from './types.ts'

/** Checks every `--cache-from` before anything is built. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export function prepareImports(specs: readonly CacheSpec[]): Promise<readonly PreparedImport[]> {
  return Promise.all(
    specs.map(async (given) => {
      const backend = await load(given)
      const { spec, mounts } = takeMountAttributes(given, true)
      if (backend.prepareImport !== undefined) return { ...backend.prepareImport(spec), mounts }
      throw new BuilderError('OCI_OPTION_UNSUPPORTED', `no cache is read from type=${spec.type}`, {
        hint: 'an inline cache is read from the image that has it: --cache-from IMAGE',
      })
    }),
  )
}

/** Checks every `--cache-to` before anything is built. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export function prepareCacheExports(specs: readonly CacheSpec[]): Promise<readonly PreparedCacheExport[]> {
  return Promise.all(
    specs.map(async (given) => {
      const backend = await load(given)
      const { spec, mounts } = takeMountAttributes(given, false)
      const prepared = backend.prepareExport?.(spec)
      if (prepared?.isInline === true && mounts !== undefined)
        throw new BuilderError('OCI_OPTION_UNSUPPORTED', `cache type=${spec.type}: no cache mounts fit into an image`, {
          hint: 'mounts=true is for caches of their own, such as type=registry,ref=NAME',
        })
      if (prepared !== undefined) return { ...prepared, mounts }
      throw new BuilderError('OCI_OPTION_UNSUPPORTED', `no cache is written to type=${spec.type}`)
    }),
  )
}

async function load({ type }: CacheSpec): Promise<CacheBackend> {
  const found = cacheBackends.find(({ name }) => name === type)
  if (found !== undefined) return (await found.load()).backend
  const names = cacheBackends.map(({ name }) => name)
  const near = findSuggestion(type, names)
  throw new BuilderError('OCI_OPTION_INVALID', `unknown cache type ${JSON.stringify(type)}`, {
    hint: near === undefined ? `one of ${names.join(', ')}` : `did you mean ${near}?`,
  })
}
