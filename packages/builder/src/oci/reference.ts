import { BuilderError } from '../base/errors.ts'

/** A name of an image, taken apart. */
export interface ImageReference {
  /** `docker.io`, `localhost:5000`. */
  readonly domain: string
  /** `library/debian`. */
  readonly path: string
  readonly tag?: string
  readonly digest?: string
}

const DEFAULT_DOMAIN = 'docker.io'
const LEGACY_DOMAIN = 'index.docker.io'
const OFFICIAL_PREFIX = 'library/'
const MAX_PATH_LENGTH = 255

// The grammar of distribution/reference.
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const PATH = `${COMPONENT}(?:/${COMPONENT})*`
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}'
const NAME = new RegExp(`^(?:(${DOMAIN})/)?(${PATH})$`)
const REFERENCE = new RegExp(`^((?:${DOMAIN}/)?${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`)
const IDENTIFIER = /^[a-f0-9]{64}$/
/** Hexadecimal digits of each algorithm that OCI registers. */
const DIGEST_LENGTHS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
])

/**
 * Reads an image name and fills in what Docker leaves out: `debian` is `docker.io/library/debian`. The tag is not filled in.
 * @throws OCI_REFERENCE_INVALID with distribution's words.
 */
export function parseReference(text: string): ImageReference {
  if (IDENTIFIER.test(text))
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  const [domain, remainder] = splitDomain(text)
  const remote = remainder.split(':', 1)[0]!
  if (remote.toLowerCase() !== remote)
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`)
  const match = REFERENCE.exec(`${domain}/${remainder}`)
  if (match === null) {
    const isCase = REFERENCE.test(`${domain}/${remainder}`.toLowerCase())
    throw invalid(isCase ? 'repository name must be lowercase' : 'invalid reference format')
  }
  const [, name, tag, digest] = match
  const [, host, path] = NAME.exec(name!) ?? [undefined, undefined, name!]
  if (path.length > MAX_PATH_LENGTH)
    throw invalid(`repository name must not be more than ${MAX_PATH_LENGTH} characters`)
  if (digest !== undefined) checkDigest(digest)
  return {
    domain: host ?? '',
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

function splitDomain(name: string): [string, string] {
  const slash = name.indexOf('/')
  if (slash === -1) return [DEFAULT_DOMAIN, OFFICIAL_PREFIX + name]
  const head = name.slice(0, slash)
  const rest = name.slice(slash + 1)
  const isDomain = head === 'localhost' || head === LEGACY_DOMAIN || /[.:]/.test(head) || head.toLowerCase() !== head
  const domain = !isDomain || head === LEGACY_DOMAIN ? DEFAULT_DOMAIN : head
  const path = isDomain ? rest : name
  return [domain, domain === DEFAULT_DOMAIN && !path.includes('/') ? OFFICIAL_PREFIX + path : path]
}

function checkDigest(digest: string): void {
  const colon = digest.indexOf(':')
  const length = DIGEST_LENGTHS.get(digest.slice(0, colon))
  const hex = digest.slice(colon + 1)
  if (length === undefined) throw invalid('unsupported digest algorithm')
  if (hex.length !== length) throw invalid('invalid checksum digest length')
  if (!/^[a-f0-9]+$/.test(hex)) throw invalid('invalid checksum digest format')
}

/** `domain/path[:tag][@digest]`. */
export function formatReference(reference: ImageReference): string {
  return `${repositoryOf(reference)}${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`
}

/** `domain/path`. */
export function repositoryOf(reference: ImageReference): string {
  return reference.domain === '' ? reference.path : `${reference.domain}/${reference.path}`
}

/** Adds `latest` where there is neither tag nor digest. */
export function withDefaultTag(reference: ImageReference): ImageReference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference
}

/** The short form that people read: `docker.io/library/debian:12` is `debian:12`. */
export function formatFamiliar(reference: ImageReference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return formatReference(reference)
  const rest = reference.path.startsWith(OFFICIAL_PREFIX)
    ? reference.path.slice(OFFICIAL_PREFIX.length)
    : reference.path
  return formatReference({ ...reference, domain: '', path: rest.includes('/') ? reference.path : rest })
}

/** The repository as people read it: `debian`, `user/app`, `localhost:5000/app`. */
export function familiarRepository(reference: ImageReference): string {
  const { domain, path } = reference
  return formatFamiliar({ domain, path })
}

/** As `parseReference`, with `latest` where neither tag nor digest was written. */
export function parseTaggedReference(text: string): ImageReference {
  return withDefaultTag(parseReference(text))
}

/** The canonical text of what people write, `latest` added: the key under which the store names an image. */
export function canonicalName(text: string): string {
  return formatReference(parseTaggedReference(text))
}

function invalid(message: string): BuilderError {
  return new BuilderError('OCI_REFERENCE_INVALID', message, {
    hint: 'an image name is [host/]path[:tag][@digest] in lower case',
  })
}

const CACHE_SCHEME = /^cache\+(\w+):\/\//

/** Whether a layer's row names a cache that travels, not an image. */
export function isCacheReference(text: string): boolean {
  return text.startsWith('cache+')
}

/**
 * Where a registry has a layer, of what a layer's row says: an image's reference, or the repository of a cache
 * (`cache+registry://…`); undefined for a cache that lies in no registry.
 */
export function registryReference(text: string): string | undefined {
  const cache = CACHE_SCHEME.exec(text)
  if (cache === null) return text
  return cache[1] === 'registry' ? text.slice(cache[0].length) : undefined
}
