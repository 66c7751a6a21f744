import { BuilderError } from '../base/errors.ts'
import type { Descriptor } from '../oci/types.ts'
import { type Repository, repositoryName } from './host.ts'
import { pause, pauseAfter } from './retry.ts'
import { type RegistryRequest, type RegistryResponse, send } from './request.ts'
import { createSlownessWatch } from './slowness.ts'
import type { Connections } from './connections.ts'
import { forSource, giveUpOrGoOn, usable } from './mirrors.ts'
import { discard, headerOf } from './transport.ts'

/** How registries, and what stands before them, refuse a range of a blob of which they gave the beginning. */
const takesNoRange = new Set([400, 404, 405, 416, 501])
/** However much comes each time, a connection that is cut more often than this is given up. */
const MAX_RESUMES = 50

export interface FetchBlobOptions {
  readonly signal?: AbortSignal | undefined
  /** Begins here, bytes. */
  readonly offset?: number
  /** Told which repository is asked next: one of the mirrors, or the one that was named, which is the last. */
  readonly onSource?: ((source: Repository, isLast: boolean) => void) | undefined
}

/** What one blob's transfer keeps between its connections. */
interface Transfer {
  readonly descriptor: Descriptor
  readonly what: string
  received: number
  /** The registry took a range amiss: the rest is found by skipping what is here. */
  isWhole: boolean
}

/** True when the repository holds the blob. */
export async function hasBlob(
  connections: Connections,
  repository: Repository,
  digest: string,
  options: { readonly signal?: AbortSignal | undefined; readonly actions?: string } = {},
): Promise<boolean> {
  const key = `${repositoryName(repository)}@${digest}`
  if (connections.present.has(key)) return true
  const response = await send(connections, {
    method: 'HEAD',
    repository,
    target: `blobs/${digest}`,
    actions: options.actions ?? 'pull',
    signal: options.signal,
    what: `blob ${digest} of ${repositoryName(repository)}`,
    expect: [200, 404],
  })
  await discard(response)
  if (response.status === 200) connections.present.add(key)
  return response.status === 200
}

/**
 * As {@link fetchBlob}, from the mirrors of a repository first: what one of them does not give, or not to its end, the next
 * goes on with.
 */
export async function* fetchBlobFrom(
  connections: Connections,
  repository: Repository,
  descriptor: Descriptor,
  options: FetchBlobOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const sources = usable(connections, await connections.sources(repository, true))
  const failures: string[] = []
  let offset = options.offset ?? 0
  for (const [index, source] of sources.entries()) {
    options.onSource?.(source, index === sources.length - 1)
    try {
      for await (const chunk of fetchBlob(forSource(connections, index, sources), source, descriptor, {
        ...options,
        offset,
      })) {
        offset += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      giveUpOrGoOn(connections, {
        error,
        source,
        failures,
        isLast: index === sources.length - 1,
        signal: options.signal,
      })
    }
  }
}

/**
 * The bytes of a blob, as they come. A cut connection is taken up where it ended (Range). Never more than the
 * descriptor's size comes out, and not less without an error; the digest is the reader's to check.
 * @throws OCI_REGISTRY_NOT_FOUND, OCI_DIGEST_MISMATCH (wrong length), OCI_REGISTRY_UNREACHABLE, OCI_CANCELED
 */
export async function* fetchBlob(
  connections: Connections,
  repository: Repository,
  descriptor: Descriptor,
  options: FetchBlobOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { signal } = options
  const transfer: Transfer = {
    descriptor,
    what: `blob ${descriptor.digest} of ${repositoryName(repository)}`,
    received: options.offset ?? 0,
    isWhole: false,
  }
  let failures = 0
  for (let connection = 0; transfer.received < descriptor.size || connection === 0; connection++) {
    const before = transfer.received
    try {
      const response = await open(connections, repository, transfer, signal)
      yield* readBody(connections, response, transfer)
      if (transfer.received === descriptor.size) return
      throw tooShort(transfer)
    } catch (error) {
      // What moves on is no failure: only tries without a byte count, up to a bound.
      failures = transfer.received > before ? 0 : failures + 1
      const attempt = Math.max(0, failures - 1)
      const waitMs = connection >= MAX_RESUMES ? undefined : pauseAfter(error, attempt, connections.options)
      if (waitMs === undefined) throw error
      await pause(waitMs, signal)
    }
  }
}

async function open(
  connections: Connections,
  repository: Repository,
  transfer: Transfer,
  signal: AbortSignal | undefined,
): Promise<RegistryResponse> {
  const { descriptor, what, received } = transfer
  const isRange = received > 0 && received < descriptor.size && !transfer.isWhole
  const request: RegistryRequest = {
    method: 'GET',
    repository,
    target: `blobs/${descriptor.digest}`,
    actions: 'pull',
    // With its end: the registry of crane understands no other.
    headers: isRange ? { range: `bytes=${received}-${descriptor.size - 1}` } : {},
    signal,
    what,
    expect: isRange ? [200, 206] : [200],
    expectedBytes: isRange ? descriptor.size - received : descriptor.size,
    retries: 0,
  }
  try {
    return await send(connections, request)
  } catch (error) {
    if (isRange && error instanceof BuilderError && takesNoRange.has(error.details['status'] as number)) {
      transfer.isWhole = true
      return await open(connections, repository, transfer, signal)
    }
    const [elsewhere] = descriptor.urls ?? []
    if (elsewhere === undefined || !(error instanceof BuilderError) || error.code !== 'OCI_REGISTRY_NOT_FOUND')
      throw error
    // Who writes a manifest would choose what this machine asks for, from inside its network.
    throw new BuilderError(
      'OCI_REGISTRY_NOT_FOUND',
      `${what}: the registry does not keep it, and addresses that a manifest names are not asked`,
      { hint: 'the image has a foreign layer: have the registry keep it, or use an image without', cause: error },
    )
  }
}

async function* readBody(
  connections: Connections,
  response: RegistryResponse,
  transfer: Transfer,
): AsyncGenerator<Uint8Array, void, void> {
  const { descriptor } = transfer
  let skip = startOf(response, transfer)
  const watch = createSlownessWatch(connections.options.timeouts, (words) => tooSlow(`${transfer.what}: ${words}`))
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      watch.arrived(chunk.length)
      const rest = skip === 0 ? chunk : chunk.subarray(skip)
      skip -= chunk.length - rest.length
      if (rest.length === 0) continue
      transfer.received += rest.length
      if (transfer.received > descriptor.size) throw tooLong(transfer)
      yield rest
      watch.waiting()
    }
  } catch (error) {
    throw response.explain(error)
  } finally {
    // Also when the reader stops early: the connection is not drained for nothing.
    response.body.destroy()
  }
}

/** How many bytes of the response come before the place where we stand. */
function startOf(response: RegistryResponse, transfer: Transfer): number {
  const { descriptor, received } = transfer
  if (response.status === 206) {
    const start = /^bytes (\d+)-/.exec(headerOf(response, 'content-range') ?? '')?.[1]
    if (Number(start) === received) return 0
    response.body.destroy()
    throw new BuilderError(
      'OCI_REGISTRY_PROTOCOL',
      `${transfer.what}: asked from byte ${received}, the answer starts elsewhere`,
      { hint: 'the registry, or a proxy before it, does not serve ranges as it says' },
    )
  }
  const length = Number(headerOf(response, 'content-length') ?? descriptor.size)
  if (length > descriptor.size) {
    response.body.destroy()
    throw tooLong(transfer)
  }
  return received
}

function tooSlow(message: string): BuilderError {
  return new BuilderError('OCI_REGISTRY_UNREACHABLE', message, {
    hint: 'the connection is too slow to be of use; try again',
    details: { isTransient: true },
  })
}

function tooLong({ descriptor, what }: Transfer): BuilderError {
  return new BuilderError(
    'OCI_DIGEST_MISMATCH',
    `${what}: longer than the ${descriptor.size} bytes of its descriptor`,
    { hint: 'the registry, or a proxy before it, sends something else; do not use it' },
  )
}

/** A body that ends early may be a cut that a proxy made look clean: another try may help. */
function tooShort({ descriptor, what, received }: Transfer): BuilderError {
  return new BuilderError('OCI_DIGEST_MISMATCH', `${what}: ends after ${received} of ${descriptor.size} bytes`, {
    hint: 'the blob is damaged on the registry, or cut off on its way',
    details: { isTransient: true },
  })
}
