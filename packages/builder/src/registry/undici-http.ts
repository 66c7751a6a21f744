import type { Agent as AgentType, Dispatcher, ProxyAgent as ProxyAgentType } from 'undici'
import type { RegistryTimeouts } from './options.ts'
import { MAX_HEADER_BYTES, type HttpRequest, type HttpResponse, type Sender, type TlsOptions } from './http-types.ts'

export interface UndiciHttpOptions {
  readonly timeouts: RegistryTimeouts
  readonly tls: TlsOptions
  /** Absent: straight to the host. */
  readonly proxy?: URL | undefined
}

type Request = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>

interface Undici {
  readonly Agent: typeof AgentType
  readonly ProxyAgent: () => Promise<typeof ProxyAgentType>
  readonly request: Request
}

/** Sends by undici: through proxies, and what is large. */
export async function createUndiciHttp(options: UndiciHttpOptions): Promise<Sender> {
  const undici = await loadUndici()
  const dispatcher = await makeDispatcher(undici, options)
  return {
    send: (request) => sendOnce(undici, dispatcher, request),
    close: () => dispatcher.destroy(),
  }
}

async function sendOnce(undici: Undici, dispatcher: Dispatcher, request: HttpRequest): Promise<HttpResponse> {
  const response = await undici.request.call(dispatcher, {
    origin: request.url.origin,
    path: `${request.url.pathname}${request.url.search}`,
    method: request.method,
    headers: request.headers,
    body: request.body ?? null,
    signal: request.signal ?? null,
  })
  return { status: response.statusCode, headers: response.headers, body: response.body }
}

async function makeDispatcher(undici: Undici, { timeouts, tls: given, proxy }: UndiciHttpOptions): Promise<Dispatcher> {
  const { connectMs, headersMs, idleMs } = timeouts
  const tls = { allowH2: false, ...given }
  const common = {
    allowH2: false,
    connect: { timeout: connectMs, ...tls },
    headersTimeout: headersMs,
    bodyTimeout: idleMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 15_000,
    connections: 16,
  }
  if (proxy === undefined) return new undici.Agent(common)
  const ProxyAgent = await undici.ProxyAgent()
  return new ProxyAgent({ ...common, uri: proxy.href, requestTls: tls })
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
  const ProxyAgent = async (): Promise<typeof ProxyAgentType> => {
    const [{ default: Dispatcher }, { default: Made }] = await Promise.all([
      import('undici/lib/dispatcher/dispatcher.js'),
      import('undici/lib/dispatcher/proxy-agent.js'),
    ])
    // The whole package does so when it is loaded; a proxy is asked for a tunnel by one of these.
    Object.assign(Dispatcher.prototype, api)
    return Made
  }
  return { Agent, ProxyAgent, request: api.request }
}

async function loadWhole(): Promise<Undici> {
  // CommonJS: once bundled it has its exports here alone.
  const { default: undici } = await import('undici')
  const request: Request = function (options) {
    return this.request(options)
  }
  return { Agent: undici.Agent, ProxyAgent: async () => undici.ProxyAgent, request }
}
