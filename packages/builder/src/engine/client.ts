import type { ClientRequest, IncomingMessage } from 'node:http'
import { BuilderError } from '../base/errors.ts'
import { engineEndpoints, type EngineEndpoint, type EngineWish } from './endpoint.ts'

/** Bytes of an answer that is read whole: what an engine says of a load. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** An engine that is there answers a ping at once. */
const PING_MS = 5_000

const HINTS = {
  docker: 'start it, name it by DOCKER_HOST, or write a file: -o type=docker,dest=FILE',
  podman:
    'start its service (systemctl --user start podman.socket), or tsbuild copy store:NAME containers-storage:NAME, which needs none',
} as const

/** An engine that answered. */
export interface Engine {
  readonly kind: 'docker' | 'podman'
  readonly endpoint: EngineEndpoint
}

/**
 * The first engine that answers.
 * @throws OCI_ENGINE_UNREACHABLE where none does, with what was tried
 */
export async function findEngine(wish: EngineWish, signal: AbortSignal): Promise<Engine> {
  const tried: string[] = []
  let cause: unknown
  for (const endpoint of await engineEndpoints(wish)) {
    try {
      return { kind: await ping(endpoint, signal), endpoint }
    } catch (error) {
      signal.throwIfAborted()
      tried.push(`${endpoint.name} (${codeOf(error)})`)
      cause = error
    }
  }
  const who =
    wish.kind === 'podman'
      ? 'no Podman answers'
      : wish.kind === 'docker'
        ? 'no Docker answers'
        : 'neither Docker nor Podman answers'
  throw new BuilderError(
    'OCI_ENGINE_UNREACHABLE',
    tried.length === 0 ? `${who}: there is no socket` : `${who} at ${tried.join(', ')}`,
    {
      cause,
      hint: HINTS[wish.kind ?? 'docker'],
    },
  )
}

function codeOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  return typeof code === 'string' ? code : String(message)
}

async function ping(endpoint: EngineEndpoint, signal: AbortSignal): Promise<Engine['kind']> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(PING_MS)])
  const request = await send(endpoint, { method: 'GET', path: '/_ping' }, late)
  const answer = answerTo(request)
  request.end()
  const response = await answer
  response.resume()
  if (response.statusCode !== 200) throw new Error(`answers ${response.statusCode}`)
  return response.headers['libpod-api-version'] === undefined ? 'docker' : 'podman'
}

interface EngineRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

async function send(
  { socketPath, tcp }: EngineEndpoint,
  { method, path, headers }: EngineRequest,
  signal: AbortSignal,
): Promise<ClientRequest> {
  const where = tcp === undefined ? { socketPath: socketPath! } : { hostname: tcp.hostname, port: tcp.port, ...tcp.tls }
  const options = { ...where, method, path, headers: { host: tcp?.hostname ?? 'engine', ...headers }, signal }
  const { request } = tcp?.tls === undefined ? await import('node:http') : await import('node:https')
  return request(options)
}

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request.on('response', resolve)
  request.on('error', reject)
  // What it says after that is told where somebody waits for it.
  promise.catch(() => undefined)
  return promise
}

/** Where an image archive goes to an engine: written piece by piece, and answered at its end. */
export interface EngineLoad {
  write(chunk: Uint8Array): Promise<void>
  /** Answers what the engine says that it loaded. @throws OCI_ENGINE_FAILED in the engine's words */
  commit(): Promise<readonly string[]>
  abort(): Promise<void>
}

/** `POST /images/load`. */
export async function beginLoad({ endpoint }: Engine, signal: AbortSignal): Promise<EngineLoad> {
  const headers = { 'content-type': 'application/x-tar' }
  const request = await send(endpoint, { method: 'POST', path: '/images/load?quiet=1', headers }, signal)
  const answer = answerTo(request)
  // An engine that refuses answers before it has read all.
  let early: IncomingMessage | undefined
  answer.then(
    (response) => (early = response),
    () => undefined,
  )
  return {
    async write(chunk) {
      if (early !== undefined) throw await refusal(endpoint, early)
      await new Promise<void>((resolve, reject) => {
        request.write(chunk, (error) => (error ? reject(failed(endpoint, error, signal)) : resolve()))
      })
    },
    async commit() {
      request.end()
      const response = await answer.catch((error: unknown) => {
        throw failed(endpoint, error, signal)
      })
      if (response.statusCode !== 200) throw await refusal(endpoint, response)
      return loadedNames(endpoint, await readAnswer(response))
    },
    async abort() {
      request.destroy()
    },
  }
}

/** The answer is a stream of JSON objects, an error one of them. */
function loadedNames(endpoint: EngineEndpoint, text: string): readonly string[] {
  const said = text.split(/\r?\n/).flatMap((line): readonly Record<string, unknown>[] => {
    try {
      return [JSON.parse(line) as Record<string, unknown>]
    } catch {
      return []
    }
  })
  for (const { error } of said) if (typeof error === 'string') throw engineError(endpoint, error)
  return said.flatMap(({ stream }) =>
    typeof stream === 'string' ? stream.split('\n').filter((one) => one !== '') : [],
  )
}

/** `GET /images/get`: an image as docker save writes it. */
export async function saveFrom(
  { endpoint }: Engine,
  name: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const path = `/images/get?names=${encodeURIComponent(name)}`
  const request = await send(endpoint, { method: 'GET', path }, signal)
  const answer = answerTo(request)
  request.end()
  const response = await answer.catch((error: unknown) => {
    throw failed(endpoint, error, signal)
  })
  if (response.statusCode === 200) return response
  if (response.statusCode === 404)
    throw new BuilderError('OCI_IMAGE_NOT_FOUND', `No such image: ${name} at ${endpoint.name}`)
  throw await refusal(endpoint, response)
}

async function refusal(endpoint: EngineEndpoint, response: IncomingMessage): Promise<BuilderError> {
  const text = await readAnswer(response).catch(() => '')
  let message: unknown
  try {
    message = (JSON.parse(text) as { readonly message?: unknown }).message
  } catch {
    message = undefined
  }
  return engineError(endpoint, typeof message === 'string' ? message : `status ${response.statusCode}`)
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_ANSWER_BYTES) break
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function engineError(endpoint: EngineEndpoint, message: string): BuilderError {
  return new BuilderError('OCI_ENGINE_FAILED', `${endpoint.name}: ${message}`)
}

function failed(endpoint: EngineEndpoint, cause: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  return new BuilderError('OCI_ENGINE_FAILED', `${endpoint.name}: ${codeOf(cause)} while an image was on its way`, {
    cause,
  })
}
