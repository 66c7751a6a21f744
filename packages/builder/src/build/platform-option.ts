import { BuilderError } from '../base/errors.ts'
import { findSuggestion } from '../base/suggest.ts'
import { hostPlatform, KNOWN_ARCHITECTURES, KNOWN_OS, normalizePlatform, parsePlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/types.ts'

/**
 * The platform that a build is for; `local` is that of this machine. BuildKit takes any word for an architecture and makes
 * an image that no machine runs; here it must be one that there is. In its one spelling, as buildx hands it to BuildKit:
 * `TARGETPLATFORM` of `linux/arm64/v8` is `linux/arm64`, of `linux/arm` it is `linux/arm/v7`.
 * @throws OCI_PLATFORM_INVALID, with the one that was probably meant
 */
export function platformOption(specifier: string): Platform {
  if (specifier === 'local') return hostPlatform()
  const parts = specifier.split('/')
  if (parts.length === 1) return normalizePlatform(parseSingle(specifier))
  const platform = parsePlatform(specifier)
  const [os = '', architecture = ''] = parts
  if (!KNOWN_OS.has(platform.os)) throw unknown('operating system', specifier, os, KNOWN_OS)
  if (!KNOWN_ARCHITECTURES.has(platform.architecture))
    throw unknown('architecture', specifier, architecture, KNOWN_ARCHITECTURES)
  return normalizePlatform(platform)
}

function parseSingle(word: string): Platform {
  try {
    return parsePlatform(word)
  } catch (cause) {
    const meant = findSuggestion(word, [...KNOWN_OS, ...KNOWN_ARCHITECTURES])
    if (meant === undefined) throw cause
    throw new BuilderError('OCI_PLATFORM_INVALID', (cause as Error).message, { cause, hint: `did you mean ${meant}?` })
  }
}

function unknown(what: string, specifier: string, word: string, known: ReadonlySet<string>): BuilderError {
  const meant = findSuggestion(word, [...known])
  return new BuilderError('OCI_PLATFORM_INVALID', `unknown ${what} ${JSON.stringify(word)} in platform ${specifier}`, {
    hint: meant === undefined ? `one of ${[...known].join(', ')}` : `did you mean ${specifier.replace(word, meant)}?`,
  })
}
