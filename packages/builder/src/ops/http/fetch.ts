import type { Store } from '../../store/types.ts'
import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import { createDigester, digestOf, type Digest } from '../../oci/digest.ts'
import { createSlownessWatch } from '../../registry/slowness.ts'
import { parseUrl, type FileClient, type FileResponse } from './request.ts'
import { failed, fileNameOf, type HttpFile } from './spec.ts'

export interface FetchEnvironment {
  readonly store: Store
  readonly client: FileClient
  readonly secret: (id: string) => Promise<Uint8Array | undefined>
  readonly signal?: AbortSignal | undefined
  /** A body that comes slower than this has stopped; default: as for git, 100 bytes a second for a minute. */
  readonly slowness?: { readonly slowWindowMs: number; readonly slowBytes: number }
  /** Bytes so far, and of how many where the server says it. */
  readonly onBytes?: (current: number, total: number | undefined) => void
}

const SLOWNESS = { slowWindowMs: 60_000, slowBytes: 6000 }

/** A file that lies in the store's blobs. */
export interface FetchedFile {
  readonly digest: Digest
  readonly filename: string
  readonly sizeBytes: number
  /** Seconds of the Unix epoch that Last-Modified says; undefined without it. */
  readonly modifiedSec: number | undefined
}

/** What is remembered of a URL: with it the server is asked only whether the file is still the same. */
interface Fact {
  readonly etag: string | undefined
  readonly digest: Digest
  readonly filename: string
  readonly modifiedSec: number | undefined
}

/**
 * Fetches a file into the store, or learns that the one there is still the server's. Throws OCI_SOURCE_FAILED
 * (`invalid response status N`, unreachable, cut off) and OCI_DIGEST_MISMATCH.
 */
export async function fetchHttpFile(file: HttpFile, environment: FetchEnvironment): Promise<FetchedFile> {
  const { store } = environment
  const factKey = `http:${digestOf(JSON.stringify([file.url, file.filename, file.authHeaderSecret, file.headers]))}`
  const fact = readFact(store, factKey)
  if (fact !== undefined && file.checksum === fact.digest) return fetched(store, fact)
  // That the bytes are here under another address says neither what time this server gives them nor that it has them.
  const headers = await requestHeaders(file, environment)
  const { etag } = fact ?? {}
  if (fact !== undefined && etag !== undefined && (await isUnchanged(file, etag, headers, environment)))
    return checked(file, fetched(store, fact))
  const response = await environment.client.send({
    method: 'GET',
    url: file.url,
    headers: etag === undefined ? headers : { ...headers, 'if-none-match': etag },
    signal: environment.signal,
  })
  if (response.status === 304 && fact !== undefined) {
    await response.discard()
    return checked(file, fetched(store, fact))
  }
  return save(file, response, factKey, environment)
}

/** Some servers send ETags and do not look at If-None-Match: HEAD tells without the bytes (BuildKit does the same). */
async function isUnchanged(
  file: HttpFile,
  etag: string,
  headers: Readonly<Record<string, string>>,
  environment: FetchEnvironment,
): Promise<boolean> {
  try {
    const response = await environment.client.send({
      method: 'HEAD',
      url: file.url,
      headers: { ...headers, 'if-none-match': etag },
      signal: environment.signal,
    })
    await response.discard()
    const now = etagValue(response.header('etag')) ?? (response.status === 304 ? etag : undefined)
    return (response.status === 200 || response.status === 304) && now === etag
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'OCI_CANCELED') throw error
    return false
  }
}

async function requestHeaders(file: HttpFile, environment: FetchEnvironment): Promise<Record<string, string>> {
  const headers: Record<string, string> = {
    'user-agent': 'tsbuild',
    'accept-encoding': 'gzip',
    ...Object.fromEntries(file.headers),
  }
  const authorization = await findAuthorization(file, environment)
  if (authorization !== undefined) headers['authorization'] = authorization
  return headers
}

async function findAuthorization(file: HttpFile, { secret }: FetchEnvironment): Promise<string | undefined> {
  if (file.authHeaderSecret !== undefined) {
    const value = await secret(file.authHeaderSecret)
    if (value === undefined)
      throw new BuilderError('OCI_SECRET_NOT_FOUND', `failed to retrieve HTTP auth secret ${file.authHeaderSecret}`, {
        hint: `give it: --secret id=${file.authHeaderSecret},…`,
      })
    return headerValue(value)
  }
  const { hostname, username, password } = parseUrl(file.url)
  const header = await secret(`HTTP_AUTH_HEADER_${hostname}`)
  const token = await secret(`HTTP_AUTH_TOKEN_${hostname}`)
  if (token !== undefined) return `Bearer ${headerValue(token)}`
  if (header !== undefined) return headerValue(header)
  if (username === '') return undefined
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
}

/** What is written with a stray `%` is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The three forms of RFC 9110 section 5.6.7; what else `Date` would take for a time is none. */
const HTTP_DATE =
  /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]+, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/

/** Seconds of the Unix epoch. */
function readDate(text: string | undefined): number | undefined {
  if (text === undefined || !HTTP_DATE.test(text)) return undefined
  const ms = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}

function headerValue(secret: Uint8Array): string {
  return Buffer.from(secret).toString('utf8').trim()
}

async function save(
  file: HttpFile,
  response: FileResponse,
  factKey: string,
  environment: FetchEnvironment,
): Promise<FetchedFile> {
  if (response.status < 200 || response.status >= 300) {
    await response.discard()
    throw failed(file.url, `invalid response status ${response.status}`)
  }
  const { store } = environment
  const digest = await receive(file, response, environment)
  const fact: Fact = {
    etag: etagValue(response.header('etag')),
    digest,
    filename: fileNameOf(file.url, file.filename, response.header('content-disposition')),
    modifiedSec: readDate(response.header('last-modified')),
  }
  store.cache.putFact(factKey, JSON.stringify(fact))
  return fetched(store, fact)
}

async function receive(file: HttpFile, response: FileResponse, environment: FetchEnvironment): Promise<Digest> {
  const length = Number(response.header('content-length') ?? Number.NaN)
  const total = Number.isSafeInteger(length) && response.header('content-encoding') === undefined ? length : undefined
  const writer = environment.store.blobs.createWriter()
  const digester = createDigester()
  let current = 0
  const watch = createSlownessWatch(environment.slowness ?? SLOWNESS, (words) =>
    failed(file.url, `the answer comes too slowly: ${words}`),
  )
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      watch.arrived(chunk.length)
      digester.update(chunk)
      await writer.write(chunk)
      current += chunk.length
      environment.onBytes?.(current, total)
      watch.waiting()
    }
  } catch (cause) {
    await response.discard()
    await writer.abort()
    if (environment.signal?.aborted === true)
      throw new BuilderError('OCI_CANCELED', 'the download was canceled', { cause })
    // The store's own errors (a full disk) say what is wrong; all else came from the server.
    throw cause instanceof BuilderError
      ? cause
      : failed(file.url, `the answer was cut off after ${current} bytes`, cause)
  }
  const digest = digester.digest()
  if (file.checksum !== undefined && digest !== file.checksum) {
    await writer.abort()
    throw mismatch(file, digest)
  }
  await writer.commit({ digest, size: current })
  return digest
}

function checked(file: HttpFile, found: FetchedFile): FetchedFile {
  if (file.checksum !== undefined && found.digest !== file.checksum) throw mismatch(file, found.digest)
  return found
}

function mismatch(file: HttpFile, got: Digest): BuilderError {
  const url = scrubCredentials(file.url)
  return new BuilderError('OCI_DIGEST_MISMATCH', `digest mismatch for ${url}: ${got} (expected: ${file.checksum})`, {
    hint: 'the file is another one than when its checksum was written down',
    details: { url, expected: file.checksum, actual: got },
  })
}

function fetched(store: Store, fact: Fact): FetchedFile {
  return {
    digest: fact.digest,
    filename: fact.filename,
    sizeBytes: store.blobs.size(fact.digest) ?? 0,
    modifiedSec: fact.modifiedSec,
  }
}

/** A fact whose bytes were pruned is none. */
function readFact(store: Store, key: string): Fact | undefined {
  const text = store.cache.getFact(key)
  if (text === undefined) return undefined
  const fact = JSON.parse(text) as Fact
  return store.blobs.has(fact.digest) ? fact : undefined
}

/** A weak validator counts like a strong one: the question is only whether this is the file that we have. */
function etagValue(header: string | undefined): string | undefined {
  return header === undefined || header === '' ? undefined : header.replace(/^W\//, '')
}
