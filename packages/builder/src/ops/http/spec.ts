import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import { parseDigest, type Digest } from '../../oci/digest.ts'
import type { SourceSpec } from '../../graph/op-specs.ts'

/** A file of the web, as the attributes of its source say it (BuildKit's `http.*`). */
export interface HttpFile {
  readonly url: string
  /** Name in the result; undefined: what the server or the URL says. */
  readonly filename: string | undefined
  readonly checksum: Digest | undefined
  readonly mode: number
  /** As the source says it, 0 where it does not: what it is keyed by elsewhere. */
  readonly statedMode: number
  readonly uid: number
  readonly gid: number
  /** Id of a secret that is the whole Authorization header. */
  readonly authHeaderSecret: string | undefined
  /** Sorted by name; only those that BuildKit lets through. */
  readonly headers: readonly (readonly [string, string])[]
}

const ALLOWED_HEADERS = new Set(['accept', 'user-agent'])

/** Throws OCI_DIGEST_INVALID for a checksum, OCI_OPTION_INVALID for a number that is none. */
export function readHttpSpec(spec: SourceSpec): HttpFile {
  const { attrs } = spec
  const headers = Object.entries(attrs)
    .filter(([name]) => name.startsWith('http.header.'))
    .map(([name, value]) => [name.slice('http.header.'.length).toLowerCase(), value] as const)
    .filter(([name]) => ALLOWED_HEADERS.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const checksum = attrs['http.checksum']
  return {
    url: spec.identifier,
    filename: attrs['http.filename'] || undefined,
    checksum: checksum === undefined ? undefined : parseDigest(checksum),
    // BuildKit: what has no permission set gets 0600.
    mode: readNumber(attrs, 'http.perm') || 0o600,
    statedMode: readNumber(attrs, 'http.perm'),
    uid: readNumber(attrs, 'http.uid'),
    gid: readNumber(attrs, 'http.gid'),
    authHeaderSecret: attrs['http.authheadersecret'],
    headers,
  }
}

/** Go's ParseInt with base 0: a leading 0 or 0o is octal, 0x hexadecimal. */
function readNumber(attrs: Readonly<Record<string, string>>, name: string): number {
  const text = attrs[name]
  if (text === undefined || text === '') return 0
  const value = /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new BuilderError('OCI_OPTION_INVALID', `${name}: ${JSON.stringify(text)} is no number`)
}

/**
 * The name of the result (BuildKit's rule): the one that was asked for, else that of Content-Disposition, else the last
 * element of the URL's path, else `__unnamed__`; never a path.
 */
export function fileNameOf(url: string, wanted: string | undefined, disposition: string | undefined): string {
  if (wanted !== undefined) return checkLength(url, safeName(wanted))
  const offered = disposition === undefined ? undefined : dispositionName(disposition)
  return checkLength(url, safeName(offered ?? lastElement(url)))
}

/** What no file system of Linux takes as a name. */
function checkLength(url: string, name: string): string {
  if (Buffer.byteLength(name) <= 255) return name
  throw failed(url, `file name too long: ${name.slice(0, 40)}…`)
}

function lastElement(url: string): string {
  try {
    const parts = decodeURIComponent(new URL(url).pathname).split('/')
    return parts.findLast((part) => part !== '') ?? ''
  } catch {
    return ''
  }
}

/** `filename` and `filename*` of RFC 6266; the second is for names beyond ASCII. */
function dispositionName(header: string): string | undefined {
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1]
  const plain = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header)
  const name = extended === undefined ? (plain?.[1]?.replaceAll(/\\(.)/g, '$1') ?? plain?.[2]) : decodeOr(extended)
  if (name === undefined || name === '' || name.endsWith('/')) return undefined
  return name.slice(name.lastIndexOf('/') + 1)
}

function decodeOr(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** A name that is no path and fits a file system. */
function safeName(name: string): string {
  const last = name.split('/').findLast((part) => part !== '') ?? ''
  return last === '' || last === '.' || last === '..' || last.includes('\0') ? '__unnamed__' : last
}

/** A source of the web that cannot be had. BuildKit asks for it while the key is computed, and says so. */
export function failed(url: string, why: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_SOURCE_FAILED', `failed to load cache key: ${why}`, {
    cause,
    hint: `this came of ${scrubCredentials(url)}: is the address right?`,
    details: { url: scrubCredentials(url) },
  })
}
