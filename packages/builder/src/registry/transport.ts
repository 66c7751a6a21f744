import type { Readable } from 'node:stream'
import type { SecureContext } from 'node:tls'
import type { Agent as AgentType, Dispatcher, EnvHttpProxyAgent as ProxyAgentType } from 'undici'
import { isLoopback } from './host.ts'
import type { ResolvedOptions } from './options.ts'
import { isUnknownIssuer, toRegistryError } from './network-errors.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | Readable | undefined
  readonly signal: AbortSignal | undefined
  /** Name of the registry, for messages. */
  readonly registry: string
  /** Certificates of this host are not verified. */
  readonly skipVerify: boolean
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Must be read to its end, destroyed, or given to {@link discard}. */
  readonly body: Readable
}

/** Sends single requests over kept connections; knows nothing of registries, redirects or credentials. */
export interface Transport {
  /** @throws OCI_REGISTRY_UNREACHABLE, OCI_REGISTRY_INSECURE, OCI_REGISTRY_PROTOCOL, OCI_CANCELED */
  send(request: HttpRequest): Promise<HttpResponse>
  close(): Promise<void>
}

type Request = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>

interface Undici {
  readonly Agent: typeof AgentType
  readonly EnvHttpProxyAgent: () => Promise<typeof ProxyAgentType>
  readonly request: Request
}

type Trust = 'bundled' | 'system' | 'none'

const proxyNames = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY']
/** A header block of a registry is small; a hostile one is cut here. */
export const MAX_HEADER_BYTES: number = 64 * 1024

/** See {@link Transport}. undici is loaded by the first request: a build that is all cached does not pay for it. */
export function createTransport(options: ResolvedOptions): Transport {
  const dispatchers = new Map<string, Promise<Dispatcher>>()
  let trust: Trust = 'bundled'
  const dispatcherFor = async (request: HttpRequest): Promise<Dispatcher> => {
    const direct = isDirect(request.url, options)
    const trusted = request.url.protocol !== 'https:' ? 'bundled' : request.skipVerify ? 'none' : trust
    const key = `${direct} ${trusted}`
    let dispatcher = dispatchers.get(key)
    if (dispatcher === undefined) dispatchers.set(key, (dispatcher = makeDispatcher(direct, trusted, options)))
    return dispatcher
  }
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    try {
      return await sendOnce(await dispatcherFor(request), request)
    } catch (error) {
      // Node trusts its own list of authorities; one that the administrator added to the system is tried only then (38 ms).
      if (isUnknownIssuer(error) && trust === 'bundled' && !request.skipVerify && isRepeatable(request)) {
        trust = 'system'
        return await send(request)
      }
      throw toRegistryError(error, request)
    }
  }
  const close = async (): Promise<void> => {
    const all = await Promise.all(dispatchers.values())
    dispatchers.clear()
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()))
  }
  return { send, close }
}

/** True where no proxy of the environment can stand between. */
export function isDirect(url: URL, options: ResolvedOptions): boolean {
  return isLoopback(url.hostname) || !proxyNames.some((name) => options.environment[name])
}

function isRepeatable(request: HttpRequest): boolean {
  return request.body === undefined || request.body instanceof Uint8Array
}

async function sendOnce(dispatcher: Dispatcher, request: HttpRequest): Promise<HttpResponse> {
  const { request: send } = await loadUndici()
  const response = await send.call(dispatcher, {
    origin: request.url.origin,
    path: `${request.url.pathname}${request.url.search}`,
    method: request.method,
    headers: request.headers,
    body: request.body ?? null,
    signal: request.signal ?? null,
  })
  return { status: response.statusCode, headers: response.headers, body: response.body }
}

async function makeDispatcher(direct: boolean, trust: Trust, options: ResolvedOptions): Promise<Dispatcher> {
  const undici = await loadUndici()
  const { connectMs, headersMs, idleMs } = options.timeouts
  const tls = { allowH2: false, ...tlsOptions(trust) }
  const common = {
    allowH2: false,
    connect: { timeout: connectMs, ...tls },
    headersTimeout: headersMs,
    bodyTimeout: idleMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 15_000,
    connections: 16,
  }
  if (direct) return new undici.Agent(common)
  const { environment: env } = options
  const EnvHttpProxyAgent = await undici.EnvHttpProxyAgent()
  return new EnvHttpProxyAgent({
    ...common,
    requestTls: tls,
    httpProxy: env['http_proxy'] || env['HTTP_PROXY'] || '',
    httpsProxy: env['https_proxy'] || env['HTTPS_PROXY'] || '',
    noProxy: env['no_proxy'] || env['NO_PROXY'] || '',
  })
}

function tlsOptions(trust: Trust): { rejectUnauthorized?: false; secureContext?: SecureContext } {
  if (trust === 'none') return { rejectUnauthorized: false }
  if (trust === 'bundled') return {}
  // Not imported: that reads every export, and one of them is the list of all authorities.
  const { createSecureContext, getCACertificates } = process.getBuiltinModule('node:tls')
  return {
    secureContext: createSecureContext({
      ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system')])],
    }),
  }
}

let loaded: Promise<Undici> | undefined

function loadUndici(): Promise<Undici> {
  return (loaded ??= loadParts().catch(loadWhole))
}

/**
 * The two parts that are needed take 24 ms to load, the whole package 60. They are no documented entry points: the
 * version is pinned, and where they are missing the whole is loaded.
 */
async function loadParts(): Promise<Undici> {
  const [{ default: Agent }, { default: api }] = await Promise.all([
    import('undici/lib/dispatcher/agent.js'),
    import('undici/lib/api/index.js'),
  ])
  const EnvHttpProxyAgent = async (): Promise<typeof ProxyAgentType> =>
    (await import('undici/lib/dispatcher/env-http-proxy-agent.js')).default
  return { Agent, EnvHttpProxyAgent, request: api.request }
}

async function loadWhole(): Promise<Undici> {
  // CommonJS: once bundled it has its exports here alone.
  const { default: undici } = await import('undici')
  const request: Request = function (options) {
    return this.request(options)
  }
  return { Agent: undici.Agent, EnvHttpProxyAgent: async () => undici.EnvHttpProxyAgent, request }
}

/** Reads a small rest of a body so that the connection can be used again, or drops the connection. */
export async function discard(response: HttpResponse): Promise<void> {
  const { body } = response
  let left = 64 * 1024
  try {
    for await (const chunk of body) {
      left -= (chunk as Uint8Array).length
      if (left < 0) break
    }
  } catch {
    // Nobody wants this body: how it ended does not matter.
  }
  body.destroy()
}

/** One header as text; of several the first. */
export function headerOf(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
