import type * as http from 'node:http'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type * as https from 'node:https'
import type { LookupFunction } from 'node:net'
import { pipeline } from 'node:stream'
import type { RegistryTimeouts } from './options.ts'
import { MAX_HEADER_BYTES, type HttpRequest, type HttpResponse, type Sender, type TlsOptions } from './http-types.ts'

/** Connections to one host at the same time. */
const MAX_CONNECTIONS = 16
/** An idle connection is closed after this: servers keep theirs for longer. */
const KEEP_MS = 15_000

export interface NodeHttpOptions {
  readonly timeouts: RegistryTimeouts
  readonly tls: TlsOptions
}

/** Node's own client: it takes 6 ms to load, undici 30 and as many again to compile its parser. */
export function createNodeHttp(options: NodeHttpOptions): Sender {
  const agents = new Map<string, Agent>()
  const loopback = new Map<string, string>()
  const agentFor = (protocol: string): Agent => {
    let agent = agents.get(protocol)
    if (agent === undefined) {
      const { Agent: Made } = moduleOf(protocol)
      agent = new Made({ keepAlive: true, maxSockets: MAX_CONNECTIONS, timeout: KEEP_MS, ...options.tls })
      agents.set(protocol, agent)
    }
    return agent
  }
  return {
    send: (request) => {
      const agent = agentFor(request.url.protocol)
      const { url, body } = request
      if (url.protocol !== 'http:' || url.hostname !== 'localhost') return sendBy(agent, request, options.timeouts)
      const sendTo = (address?: string): Promise<HttpResponse> => sendBy(agent, request, options.timeouts, address)
      // What is streamed cannot be sent twice: it goes where something answered before.
      return isWhole(body) ? sendToLoopback(loopback, url.port, sendTo) : sendTo(loopback.get(url.port))
    },
    close: async () => {
      for (const agent of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}

/** Not `import`: that reads every export, and one of them is Node's own undici (20 ms). */
function moduleOf(protocol: string): typeof http | typeof https {
  return process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http')
}

/** A name that is always this machine (RFC 6761 section 6.3): to ask the resolver for it takes 5 ms. */
const lookupLoopback: LookupFunction = (_name, { all, family }, answer) => {
  const addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ].filter((one) => (family !== 4 && family !== 6 ? true : one.family === family))
  if (all) answer(null, addresses)
  else answer(null, addresses[0]!.address, addresses[0]!.family)
}

/**
 * To one address after the other: with a name Node compiles expressions, loads its resolver (10 ms together), and gives an
 * address up that has not answered within 250 ms, although only this process had no time for it.
 */
async function sendToLoopback(
  answering: Map<string, string>,
  port: string,
  sendTo: (address: string) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const first = answering.get(port) ?? '127.0.0.1'
  const second = first === '::1' ? '127.0.0.1' : '::1'
  let address = first
  const response = await sendTo(first).catch((refused: NodeJS.ErrnoException) => {
    if (refused.code !== 'ECONNREFUSED') throw refused
    address = second
    return sendTo(second).catch((error: NodeJS.ErrnoException) => {
      // Nobody listens there either, or there is no such address.
      throw error.syscall === 'connect' ? refused : error
    })
  })
  answering.set(port, address)
  return response
}

function sendBy(
  agent: Agent,
  request: HttpRequest,
  timeouts: RegistryTimeouts,
  address?: string,
): Promise<HttpResponse> {
  const { url, method, headers, body, signal } = request
  return new Promise<HttpResponse>((resolve, reject) => {
    const outgoing = moduleOf(url.protocol).request({
      // Not the URL itself: its user part would be sent, and is not always text.
      host: address ?? url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { host: url.host, ...headers },
      agent,
      ...(url.protocol === 'http:' ? { servername: '' } : {}),
      ...(url.hostname === 'localhost' ? { lookup: lookupLoopback } : {}),
      maxHeaderSize: MAX_HEADER_BYTES,
    })
    const watch = createWatch(outgoing, timeouts)
    let stream: ClientRequest | IncomingMessage = outgoing
    const abort = (): void => void stream.destroy(withCode('aborted', 'ABORT_ERR'))
    const end = (): void => signal?.removeEventListener('abort', abort)
    const fail = (error: Error): void => {
      watch.end()
      end()
      if (isStaleConnection(outgoing, request, error)) resolve(sendBy(agent, request, timeouts, address))
      else reject(error)
    }
    outgoing.on('error', fail)
    // Node tells nothing more of an answer that switches protocols.
    const closed = (): void => fail(withCode('the connection ended without an answer', 'UND_ERR_SOCKET'))
    outgoing.once('close', closed)
    outgoing.once('response', (response: IncomingMessage) => {
      watch.end()
      outgoing.off('close', closed)
      stream = response
      boundIdleness(response, timeouts.idleMs)
      response.once('close', () => {
        end()
        // Who answers before all was sent wants no more: the connection is of no further use.
        if (!outgoing.writableFinished) outgoing.destroy()
      })
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response })
    })
    if (signal?.aborted === true) return abort()
    signal?.addEventListener('abort', abort, { once: true })
    if (isWhole(body)) return void outgoing.end(body)
    body.on('data', () => watch.moves())
    // A pipeline ends a request without telling it why.
    body.once('error', (error) => outgoing.destroy(error))
    pipeline(body, outgoing, () => undefined)
  })
}

/**
 * A kept connection may be closed by its server just when it is used again. That is no failure of the registry: what
 * changes nothing goes out once more, until a connection is a new one (as RFC 9112 section 9.3.1 has it).
 */
function isStaleConnection(outgoing: ClientRequest, { method, signal }: HttpRequest, error: Error): boolean {
  const isCut = ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')
  return isCut && outgoing.reusedSocket && (method === 'GET' || method === 'HEAD') && signal?.aborted !== true
}

/** Bounds the time of connecting, and of waiting for the answer since the last byte was sent. */
function createWatch(
  outgoing: ClientRequest,
  { connectMs, headersMs }: RegistryTimeouts,
): { moves(): void; end(): void } {
  let timer: NodeJS.Timeout | undefined
  const expect = (ms: number, code: string): void => {
    clearTimeout(timer)
    timer = setTimeout(() => outgoing.destroy(withCode('no answer', code)), ms)
  }
  const waitForAnswer = (): void => expect(headersMs, 'UND_ERR_HEADERS_TIMEOUT')
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return waitForAnswer()
    expect(connectMs, 'UND_ERR_CONNECT_TIMEOUT')
    // With TLS the connection stands when both sides know each other.
    const isTls = 'encrypted' in socket
    socket.once(isTls ? 'secureConnect' : 'connect', waitForAnswer)
  })
  return {
    moves: () => void timer?.refresh(),
    end: () => clearTimeout(timer),
  }
}

/** A body whose next piece does not come in time ends with an error; what waits for its reader may wait. */
function boundIdleness(response: IncomingMessage, idleMs: number): void {
  const { socket } = response
  const judge = (): void => {
    if (response.readableLength > 0) socket.setTimeout(idleMs)
    else response.destroy(withCode('the body stopped coming', 'UND_ERR_BODY_TIMEOUT'))
  }
  socket.setTimeout(idleMs)
  socket.on('timeout', judge)
  response.once('close', () => socket.off('timeout', judge))
}

function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code })
}

/** Not by the class of a stream: node:stream takes 4 ms to load, and most commands of the bundle never send anything. */
function isWhole(body: HttpRequest['body']): body is Uint8Array | undefined {
  return body === undefined || body instanceof Uint8Array
}
