import { BuilderError, type BuilderErrorCode } from '../base/errors.ts'
import { digestOf, isDigest } from './digest.ts'
import { nonEmpty, sortedMap } from './go-json.ts'
import type { Descriptor, Platform } from './types.ts'

/** Largest `data` member that we keep (image-spec, descriptor.md: implementations may limit it). */
const MAX_DATA_CHARS = 64 * 1024

/** A descriptor of bytes at hand. */
export function describe(data: Uint8Array | string, mediaType: string, more: Partial<Descriptor> = {}): Descriptor {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...more }
}

/**
 * Checks a descriptor that came from outside (image-spec, descriptor.md) and keeps the members that are known.
 * `where` names it in messages (`layers[2]`); `code` is that of the document it stands in.
 */
export function checkDescriptor(
  value: unknown,
  where: string,
  code: BuilderErrorCode = 'OCI_MANIFEST_INVALID',
): Descriptor {
  const invalid = (what: string): BuilderError => new BuilderError(code, `${where}: ${what}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('a descriptor is missing')
  const raw = value as Record<string, unknown>
  // Absent is empty, as Go's reader has it: of a layer the first bytes tell its compression.
  const mediaType = raw['mediaType'] ?? ''
  if (typeof mediaType !== 'string') throw invalid('the descriptor has no mediaType')
  const digest = raw['digest']
  if (typeof digest !== 'string' || !isDigest(digest))
    throw invalid(`unsupported digest ${JSON.stringify(digest)?.slice(0, 100)}`)
  if (!Number.isSafeInteger(raw['size']) || (raw['size'] as number) < 0)
    throw invalid(`invalid size ${JSON.stringify(raw['size'])}`)
  const { annotations, platform, artifactType, urls, data } = raw
  return {
    mediaType,
    digest,
    size: raw['size'] as number,
    ...(isList(urls) ? { urls } : {}),
    ...(isStringMap(annotations) ? { annotations } : {}),
    ...(typeof data === 'string' && data.length <= MAX_DATA_CHARS ? { data } : {}),
    ...(platform === undefined || platform === null ? {} : { platform: checkPlatform(platform, invalid) }),
    ...(typeof artifactType === 'string' && artifactType !== '' ? { artifactType } : {}),
  }
}

function checkPlatform(value: unknown, invalid: (what: string) => BuilderError): Platform {
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('the platform is no object')
  const raw = value as Record<string, unknown>
  // What is absent is empty (an empty OS is the host's): such an entry is no fault of the others.
  const { os = '', architecture = '' } = raw
  if (typeof os !== 'string' || typeof architecture !== 'string')
    throw invalid('os or architecture of the platform is no text')
  return {
    os,
    architecture,
    ...(typeof raw['variant'] === 'string' && raw['variant'] !== '' ? { variant: raw['variant'] } : {}),
    ...(typeof raw['os.version'] === 'string' && raw['os.version'] !== '' ? { 'os.version': raw['os.version'] } : {}),
    ...(isList(raw['os.features']) ? { 'os.features': raw['os.features'] } : {}),
  }
}

/** True for a list of strings. */
export function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** True for an object whose values are all strings. */
export function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string')
  )
}

/** Members in the order of image-spec's Go type, for writing. */
export function orderDescriptor(descriptor: Descriptor): Descriptor {
  const { mediaType, digest, size, urls, annotations, data, platform, artifactType } = descriptor
  return {
    mediaType,
    digest,
    size,
    urls: nonEmpty(urls),
    annotations: sortedMap(annotations),
    data,
    platform: platform === undefined ? undefined : orderPlatform(platform),
    artifactType: artifactType === '' ? undefined : artifactType,
  }
}

function orderPlatform(platform: Platform): Platform {
  const { architecture, os, variant } = platform
  return {
    architecture,
    os,
    'os.version': platform['os.version'] === '' ? undefined : platform['os.version'],
    'os.features': nonEmpty(platform['os.features']),
    variant: variant === '' ? undefined : variant,
  }
}
