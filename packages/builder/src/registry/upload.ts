import type { Readable } from 'node:stream'
import { byteStream } from '../base/byte-stream.ts'
import { BuilderError } from '../base/errors.ts'
import type { Descriptor } from '../oci/types.ts'
import { hasBlob } from './download.ts'
import { type Repository, repositoryName } from './host.ts'
import { isTransient, withRetries } from './retry.ts'
import { type RegistryRequest, type RegistryResponse, resolveLocation, send } from './request.ts'
import type { Connections } from './connections.ts'
import { discard, headerOf } from './transport.ts'

export interface UploadOptions {
  /** Opens the blob's bytes from an offset; called again for each try. */
  readonly open: (offset: number) => AsyncIterable<Uint8Array>
  /** Repositories of the same registry that may hold the blob. */
  readonly mountFrom?: readonly string[]
  /** Most likely no registry has it yet: the upload is begun while one asks whether it is there. */
  readonly isNew?: boolean
  /** For a new blob: its upload, which was begun while it was made; see {@link beginUpload}. */
  readonly begun?: Promise<URL | undefined> | undefined
  readonly signal?: AbortSignal | undefined
  /** Bytes sent so far; falls back when a try starts anew. */
  readonly onProgress?: (current: number) => void
}

/** What became of a blob: it was there, it was linked from another repository, or it was sent. */
export type UploadOutcome = 'exists' | 'mounted' | 'uploaded'

const DEFAULT_CHUNK_BYTES = 16 * 1024 * 1024
/** Sisters that are asked for a mount. */
const MAX_MOUNTS = 3
const MAX_CHUNK_BYTES = 128 * 1024 * 1024
/** Answers of a server, or of a proxy before it, that will not take a blob in one piece. */
const needsChunks = new Set([400, 404, 405, 411, 413, 416, 501])

/** One upload; the fields stay the same over its tries. */
interface Upload {
  readonly connections: Connections
  readonly repository: Repository
  readonly descriptor: Descriptor
  readonly options: UploadOptions
  readonly what: string
}

/** What is known of an upload before there is a blob. */
type Sending = Pick<Upload, 'connections' | 'repository' | 'what'> & { readonly options: Pick<UploadOptions, 'signal'> }

/**
 * Brings a blob to a repository: not at all when it is there, by a mount when a sister repository has it, in one PUT, and
 * when that does not work in pieces that are taken up where they ended (distribution-spec, Pushing Blobs).
 * @throws OCI_DIGEST_MISMATCH, OCI_REGISTRY_…
 */
export async function uploadBlob(
  connections: Connections,
  repository: Repository,
  descriptor: Descriptor,
  options: UploadOptions,
): Promise<UploadOutcome> {
  const upload: Upload = {
    connections,
    repository,
    descriptor,
    options,
    what: `push of blob ${descriptor.digest} to ${repositoryName(repository)}`,
  }
  const key = keyOf(upload)
  const { mountFrom = [], signal } = options
  // A mount answers for both: it is tried first, unless the blob went to this very repository before.
  const sisters =
    mountFrom.includes(repository.path) || connections.present.has(key) ? [] : mountFrom.slice(0, MAX_MOUNTS)
  const mounted = await mount(upload, sisters)
  // Begun for nothing where a mount was tried, and answered.
  if (mounted !== undefined) await forgetBegun(upload)
  if (mounted === 'mounted') {
    connections.present.add(key)
    return 'mounted'
  }
  const early = mounted === undefined ? (options.begun ?? (options.isNew ? startEarly(upload) : undefined)) : undefined
  const isThere = await hasBlob(connections, repository, descriptor.digest, { signal, actions: 'pull,push' })
  const begun = mounted ?? (await early)
  if (isThere) {
    if (begun !== undefined) await forget(upload, begun)
    return 'exists'
  }
  // Only what carries bytes has to wait for its turn.
  return await connections.uploads(signal, () => sendBytes(upload, begun))
}

async function sendBytes(upload: Upload, begun: URL | undefined): Promise<'uploaded'> {
  const { connections } = upload
  const { signal } = upload.options
  const location = begun ?? (await start(upload))
  try {
    await putWhole(upload, location)
  } catch (error) {
    if (!mayHelpToChunk(error)) throw error
    try {
      await withRetries(connections.options, signal, () => putInChunks(upload))
    } catch (later) {
      // A registry that takes no pieces has said in its first answer what is wrong.
      throw takesNoChunks(later) ? error : later
    }
  }
  connections.present.add(keyOf(upload))
  return 'uploaded'
}

function keyOf({ repository, descriptor }: Upload): string {
  return `${repositoryName(repository)}@${descriptor.digest}`
}

function takesNoChunks(error: unknown): boolean {
  return error instanceof BuilderError && [404, 405, 501].includes(error.details['status'] as number)
}

function mayHelpToChunk(error: unknown): boolean {
  return isTransient(error) || (error instanceof BuilderError && needsChunks.has(error.details['status'] as number))
}

function request(
  upload: Sending,
  more: Pick<RegistryRequest, 'method' | 'target' | 'expect'> & Partial<RegistryRequest>,
): RegistryRequest {
  return {
    repository: upload.repository,
    actions: 'pull,push',
    signal: upload.options.signal,
    what: upload.what,
    ...more,
  }
}

/** Where it is to be sent, if the registry began an upload instead; undefined when it did neither. */
async function mount(upload: Upload, sisters: readonly string[]): Promise<'mounted' | URL | undefined> {
  const { connections, descriptor } = upload
  for (const from of sisters) {
    const response = await send(
      connections,
      request(upload, {
        method: 'POST',
        target: `blobs/uploads/?mount=${descriptor.digest}&from=${encodeURIComponent(from)}`,
        alsoPull: [from],
        expect: [201, 202],
      }),
    ).catch(orNoMount)
    if (response === undefined) continue
    await discard(response)
    if (response.status === 201) return 'mounted'
    // A registry that cannot mount has begun an upload instead.
    if (response.status === 202) return locationOf(upload, response)
  }
  return undefined
}

/** Whatever a registry answers to it, a mount only saves an upload, which has yet to be tried; no answer is another matter. */
function orNoMount(error: unknown): undefined {
  if (error instanceof BuilderError && typeof error.details['status'] === 'number') return undefined
  throw error
}

async function forgetBegun(upload: Upload): Promise<void> {
  const begun = await upload.options.begun
  if (begun !== undefined) await forget(upload, begun)
}

/** An upload that is not needed: a registry that does not take it back forgets it by itself. */
async function forget(upload: Upload, location: URL): Promise<void> {
  const response = await send(
    upload.connections,
    request(upload, { method: 'DELETE', target: location, expect: [204, 400, 404, 405], retries: 0 }),
  ).catch(() => undefined)
  if (response !== undefined) await discard(response)
}

/**
 * Begins the upload of a blob that is still being made: what it will be called is said with its last byte. Undefined where the
 * registry begins none. Never fails: what a registry has against it, it says when it is asked for one that is needed.
 */
export async function beginUpload(
  connections: Connections,
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<URL | undefined> {
  const what = `push of a blob to ${repositoryName(repository)}`
  return await start({ connections, repository, options: { signal }, what }, 0).catch(() => undefined)
}

async function startEarly(upload: Upload): Promise<URL | undefined> {
  if (upload.connections.present.has(keyOf(upload))) return undefined
  return await start(upload, 0).catch(() => undefined)
}

async function start(upload: Sending, retries?: number): Promise<URL> {
  const response = await send(
    upload.connections,
    request(upload, {
      method: 'POST',
      target: 'blobs/uploads/',
      headers: { 'content-length': '0' },
      expect: [202],
      ...(retries === undefined ? {} : { retries }),
    }),
  )
  await discard(response)
  return locationOf(upload, response)
}

function locationOf(upload: Sending, response: RegistryResponse): URL {
  const location = headerOf(response, 'location')
  if (location === undefined)
    throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${upload.what}: the registry does not say where to send it`, {
      hint: 'check what proxies are in between: the Location header is missing',
    })
  return resolveLocation(location, response.url, upload)
}

function finalUrl(upload: Upload, location: URL): URL {
  const url = new URL(location)
  // Appended as text: registries keep state in the query and compare it as they wrote it.
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${upload.descriptor.digest}`
  return url
}

async function putWhole(upload: Upload, location: URL): Promise<void> {
  const { descriptor, connections } = upload
  const response = await send(
    connections,
    request(upload, {
      method: 'PUT',
      target: finalUrl(upload, location),
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(descriptor.size) },
      body: () => bodyOf(upload, 0, descriptor.size),
      expect: [201],
      // Once started, an upload cannot be repeated at the same place.
      retries: 0,
    }),
  )
  await finished(upload, response)
}

async function finished(upload: Upload, response: RegistryResponse): Promise<void> {
  await discard(response)
  const told = headerOf(response, 'docker-content-digest')
  if (told !== undefined && told !== upload.descriptor.digest) {
    throw new BuilderError('OCI_DIGEST_MISMATCH', `${upload.what}: the registry stored ${told}`, {
      hint: 'the registry, or a proxy before it, altered it',
    })
  }
}

/** Sends the blob by PATCH, chunk by chunk; a cut connection asks how much arrived and goes on there. */
async function putInChunks(upload: Upload): Promise<void> {
  const { descriptor, connections } = upload
  const { signal } = upload.options
  if (await hasBlob(connections, upload.repository, descriptor.digest, { signal, actions: 'pull,push' })) return
  const started = await send(
    connections,
    request(upload, { method: 'POST', target: 'blobs/uploads/', headers: { 'content-length': '0' }, expect: [202] }),
  )
  await discard(started)
  const wished = Number(headerOf(started, 'oci-chunk-min-length') ?? 0)
  const chunkBytes = Math.min(Math.max(DEFAULT_CHUNK_BYTES, Number.isSafeInteger(wished) ? wished : 0), MAX_CHUNK_BYTES)
  let location = locationOf(upload, started)
  let offset = 0
  let failures = 0
  while (offset < descriptor.size) {
    try {
      const end = Math.min(offset + chunkBytes, descriptor.size)
      const next = await patch(upload, location, offset, end)
      location = next.location
      offset = next.offset
      failures = 0
    } catch (error) {
      failures++
      // 416: the registry stands elsewhere than we think, and says where.
      const isLost = error instanceof BuilderError && error.details['status'] === 416
      if (!(isTransient(error) || isLost) || failures > Math.max(1, connections.options.retries)) throw error
      const state = await askProgress(upload, location)
      // Distribution forgets an upload whose last piece came in half: then the error stands, and all of it is sent anew.
      if (state === undefined) throw error
      location = state.location
      offset = state.offset
    }
  }
  const response = await send(
    connections,
    request(upload, {
      method: 'PUT',
      target: finalUrl(upload, location),
      headers: { 'content-length': '0' },
      expect: [201],
      retries: 0,
    }),
  )
  await finished(upload, response)
}

/** @returns where to go on: a registry may keep less of a piece than it was sent, and says so in `Range` */
async function patch(
  upload: Upload,
  location: URL,
  start: number,
  end: number,
): Promise<{ readonly location: URL; readonly offset: number }> {
  const response = await send(
    upload.connections,
    request(upload, {
      method: 'PATCH',
      target: location,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(end - start),
        'content-range': `${start}-${end - 1}`,
      },
      body: () => bodyOf(upload, start, end),
      expect: [202, 204],
      retries: 0,
    }),
  )
  await discard(response)
  const kept = keptBytes(response)
  return { location: locationOf(upload, response), offset: kept > start && kept < end ? kept : end }
}

/** `Range: 0-<last byte>`. `0-0` says both "nothing" and "one byte"; no piece of ours is one byte long. */
function keptBytes(response: RegistryResponse): number {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(headerOf(response, 'range') ?? '')?.[1]
  return last === undefined || last === '0' ? 0 : Number(last) + 1
}

/** GET of an upload tells in `Range` how far it is: `0-<last byte>`; undefined when the registry does not know it any more. */
async function askProgress(upload: Upload, location: URL): Promise<{ location: URL; offset: number } | undefined> {
  const response = await send(
    upload.connections,
    request(upload, { method: 'GET', target: location, expect: [204, 400, 404, 405, 416] }),
  )
  await discard(response)
  if (response.status !== 204) return undefined
  const offset = keptBytes(response)
  if (offset > upload.descriptor.size)
    throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${upload.what}: the registry has more bytes than the blob`, {})
  return { location: headerOf(response, 'location') === undefined ? location : locationOf(upload, response), offset }
}

function bodyOf(upload: Upload, start: number, end: number): Readable {
  return byteStream(counted(upload, start, end), { highWaterMark: 256 * 1024 })
}

async function* counted({ options, what }: Upload, start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
  let at = start
  options.onProgress?.(at)
  for await (const chunk of options.open(start)) {
    const piece = chunk.length > end - at ? chunk.subarray(0, end - at) : chunk
    at += piece.length
    yield piece
    options.onProgress?.(at)
    if (at === end) return
  }
  throw new BuilderError('OCI_DIGEST_MISMATCH', `${what}: its source ends after ${at} of ${end} bytes`, {
    hint: 'the blob in the store is damaged: remove the image and make it again',
  })
}
