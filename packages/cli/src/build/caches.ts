import type { CacheOption } from '@ts-oci/builder'
import { cacheBackends } from '@ts-oci/builder/families'
import { namesOf } from '../flags/families.ts'
import { nearest, UsageError } from '../usage-error.ts'
import { csvFields, splitOnce } from './csv.ts'

const types: readonly string[] = namesOf(cacheBackends)

/**
 * One `--cache-from` or `--cache-to`: `type=registry,ref=user/app:cache`, or names of images alone, which are in a
 * registry. Nothing is none, as buildx has it: a variable of a script that has no value. @throws UsageError
 */
export function parseCache(text: string, flag: 'cache-from' | 'cache-to'): readonly CacheOption[] {
  if (text.trim() === '') return []
  const fields = csvFields(text).map((field) => splitOnce(field, '='))
  if (fields.every(([, value]) => value === undefined))
    return fields.map(([ref]) => ({ type: 'registry', ref: ref.trim() }))
  const attributes: Record<string, string> = {}
  for (const [name, value] of fields) {
    if (value === undefined) throw invalid(text, flag, `"${name}" is no NAME=VALUE`)
    attributes[name.trim().toLowerCase()] = value
  }
  const { type, ...rest } = attributes
  if (type === undefined) throw invalid(text, flag, 'the type is missing')
  if (!types.includes(type)) {
    const close = nearest(type, types)
    throw invalid(text, flag, `unknown type "${type}"${close === undefined ? '' : ` (did you mean ${close}?)`}`)
  }
  return [{ ...rest, type: type as CacheOption['type'] }]
}

function invalid(text: string, flag: string, reason: string): UsageError {
  return new UsageError(`invalid argument "${masked(text)}" for --${flag}: ${reason}`, {
    hint: `type=TYPE,NAME=VALUE with TYPE one of ${types.join(', ')}; or the name of an image in a registry`,
  })
}

/** The keys to a place are attributes, too: a log does not show them. */
function masked(text: string): string {
  return text
    .replaceAll(/\b((?:secret_access_key|session_token|ghtoken|token)=)[^,"]*/gi, '$1***')
    .replaceAll(/\b(sig=)[^&,"]*/g, '$1***')
}
