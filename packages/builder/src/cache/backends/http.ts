/** HTTP to the places of caches that are no registries: what passes is tried again, and nothing secret is told. */
import { isTsOciError } from '../../base/errors.ts'
import type { HttpRequest, HttpResponse } from '../../registry/http-types.ts'
import { resolveOptions } from '../../registry/options.ts'
import { isTransient, pause, retryAfterMs } from '../../registry/retry.ts'
import { createTransport, discard, headerOf, type ExplainedResponse } from '../../registry/transport.ts'
import { cacheFailed } from './failed.ts'

export interface CacheRequest {
  readonly method: HttpRequest['method']
  readonly url: URL
  /** Asked anew for each try: a signature has its time. `own`: what is asked for beside, a range. */
  readonly headers: (own?: Readonly<Record<string, string>>) => Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
  /** Of the answer; default 1 MiB. */
  readonly maxBytes?: number
}

export interface CacheAnswer {
  readonly status: number
  header(name: string): string | undefined
  readonly bytes: Uint8Array
}

export interface CacheHttp {
  /** A request with its whole answer, whatever its status. @throws OCI_CACHE_FAILED, OCI_CANCELED */
  ask(request: CacheRequest): Promise<CacheAnswer>
  /**
   * The body of a GET, from where it broke off on when it does. @throws OCI_CACHE_FAILED also where there is none
   * @param sizeBytes how long it is
   */
  read(request: Omit<CacheRequest, 'method' | 'body'>, sizeBytes: number): AsyncIterable<Uint8Array>
}

export interface CacheHttpOptions {
  /** How the place is called in messages: `the GitHub Actions cache`. */
  readonly place: string
  /** Tries of one request, the first one counted. */
  readonly tries: number
  /** No try begins later than this after the first one. */
  readonly timeoutMs: number
  /** The first pause between tries; each further one is twice as long. */
  readonly retryDelayMs?: number
}

const MAX_ANSWER_BYTES = 1 << 20
const MAX_PAUSE_MS = 90_000
const PASSING = new Set([408, 429, 500, 502, 503, 504])

export function createCacheHttp(options: CacheHttpOptions): CacheHttp {
  const { place, tries, timeoutMs, retryDelayMs = 1000 } = options
  const transport = createTransport(resolveOptions())
  // Who is asked to wait waits with everything: each further request would only lengthen it.
  let waitUntilMs = 0

  /** The pause before the next try; undefined: there is none. */
  function nextPause(attempt: number, startedMs: number, wishedMs: number | undefined): number | undefined {
    const ownMs = Math.min(retryDelayMs * 2 ** attempt, MAX_PAUSE_MS) * (0.75 + Math.random() / 2)
    const pauseMs = Math.max(wishedMs ?? 0, ownMs)
    return attempt + 1 < tries && Date.now() + pauseMs - startedMs <= timeoutMs ? pauseMs : undefined
  }

  async function send(request: CacheRequest): Promise<ExplainedResponse> {
    const startedMs = Date.now()
    for (let attempt = 0; ; attempt++) {
      if (waitUntilMs > Date.now()) await pause(waitUntilMs - Date.now(), request.signal)
      const outcome = await sendOnce(request)
      const passes = 'error' in outcome ? isTransient(outcome.error) : PASSING.has(outcome.status)
      const wishedMs = 'error' in outcome ? undefined : retryAfterMs(headerOf(outcome, 'retry-after'), Date.now())
      const pauseMs = passes ? nextPause(attempt, startedMs, wishedMs) : undefined
      if (pauseMs === undefined) {
        if ('error' in outcome) throw toFailure(outcome.error)
        return outcome
      }
      if (!('error' in outcome)) {
        await discard(outcome)
        if (outcome.status === 429) waitUntilMs = Date.now() + pauseMs
      }
      await pause(pauseMs, request.signal)
    }
  }

  async function sendOnce({ method, url, headers, body, signal }: CacheRequest) {
    try {
      const common = { method, url, signal, registry: url.host, skipVerify: false }
      return await transport.send({ ...common, headers: headers(), ...(body === undefined ? {} : { body }) })
    } catch (error) {
      return { error }
    }
  }

  function toFailure(error: unknown): unknown {
    if (!isTsOciError(error) || error.code === 'OCI_CANCELED') return error
    return cacheFailed(`${place}: ${error.message}`, { cause: error, details: error.details, hint: error.hint })
  }

  async function ask(request: CacheRequest): Promise<CacheAnswer> {
    for (let attempt = 0; ; attempt++) {
      const response = await send(request)
      try {
        const bytes = await readWhole(response, request.maxBytes ?? MAX_ANSWER_BYTES, place)
        return { status: response.status, header: (name) => headerOf(response, name), bytes }
      } catch (error) {
        const explained = response.explain(error)
        if (!isTransient(explained) || attempt + 1 >= tries) throw toFailure(explained)
      }
    }
  }

  async function* read(request: Omit<CacheRequest, 'method' | 'body'>, sizeBytes: number): AsyncGenerator<Uint8Array> {
    let offset = 0
    for (let attempt = 0; offset < sizeBytes; attempt++) {
      const range: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` }
      const response = await send({
        ...request,
        method: 'GET',
        headers: () => request.headers(range),
      })
      if (response.status !== 200 && (response.status !== 206 || offset === 0)) {
        await discard(response)
        throw cacheFailed(`${place} answered ${response.status} to a layer`, { details: { status: response.status } })
      }
      try {
        // Who takes no notice of a range sends all of it once more.
        let known = response.status === 200 ? offset : 0
        for await (const chunk of response.body) {
          const fresh = (chunk as Uint8Array).subarray(known)
          known -= Math.min(known, (chunk as Uint8Array).length)
          if (fresh.length === 0) continue
          offset += fresh.length
          yield fresh
        }
        return
      } catch (error) {
        const explained = response.explain(error)
        if (!isTransient(explained) || attempt + 1 >= tries) throw toFailure(explained)
      } finally {
        response.body.destroy()
      }
    }
  }
  return { ask, read }
}

async function readWhole(response: HttpResponse, maxBytes: number, place: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body) {
    length += (chunk as Uint8Array).length
    if (length > maxBytes) {
      response.body.destroy()
      throw cacheFailed(`${place} sent an answer of more than ${maxBytes} bytes`)
    }
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks)
}
