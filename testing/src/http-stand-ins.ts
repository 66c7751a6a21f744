import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Writable } from 'node:stream'

/** A request as a stand-in saw it. */
export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** An HTTP server of a test, on a free port of the loopback. */
export interface StandIn extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  readonly port: number
  /** In the order of arrival. */
  readonly seen: SeenRequest[]
  stop(): Promise<void>
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

/** Starts a server that answers as the test says: a hostile or broken registry, a place where redirects lead. */
export async function startStandIn(answer: Answer, wantedPort = 0): Promise<StandIn> {
  const seen: SeenRequest[] = []
  const server = createServer((incoming, response) => {
    seen.push({ method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers })
    response.on('error', () => undefined)
    void Promise.resolve(answer(incoming, response)).catch((error: unknown) => response.destroy(error as Error))
  })
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { host: `127.0.0.1:${port}`, port, seen, stop, [Symbol.asyncDispose]: stop }
}

/** What a faulty line does to one exchange; undefined members leave it as it is. */
export interface Fault {
  /** The connection is cut after so many bytes of the response's body. */
  readonly cutResponseAfter?: number
  /** The connection is cut after so many bytes of the request's body. */
  readonly cutRequestAfter?: number
  /** This byte of the response's body is inverted. */
  readonly flipByte?: number
  /** The exchange begins only so many milliseconds later. */
  readonly delayMs?: number
  /** Answers this instead of passing the request on. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** Starts a proxy before a server at `host`; `fault` decides for each request what goes wrong on the way. */
export async function startFaultyProxy(
  host: string,
  fault: (request: SeenRequest) => Fault | undefined,
  wantedPort = 0,
): Promise<StandIn> {
  return await startStandIn((incoming, response) => {
    const seen = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers }
    return pass(incoming, response, host, fault(seen) ?? {})
  }, wantedPort)
}

async function pass(incoming: IncomingMessage, response: ServerResponse, host: string, fault: Fault): Promise<void> {
  if (fault.delayMs !== undefined) {
    const { delayMs } = fault
    // Unreferenced: who stops the server does not wait for it.
    await new Promise((resolve) => setTimeout(resolve, delayMs).unref())
  }
  if (fault.status !== undefined) {
    incoming.resume()
    response.writeHead(fault.status, fault.headers).end()
    return
  }
  // The Host header stays: the registry behind makes its addresses from it.
  const outgoing = request({
    host: host.split(':')[0],
    port: host.split(':')[1],
    method: incoming.method,
    path: incoming.url,
    headers: incoming.headers,
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
  })
  let hasAnswered = false
  answered.then(
    () => (hasAnswered = true),
    () => (hasAnswered = true),
  )
  outgoing.on('error', () => undefined)
  let sent = 0
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sent += chunk.length
    if (fault.cutRequestAfter !== undefined && sent > fault.cutRequestAfter) {
      // What was taken so far reaches the server, then both sides are cut.
      outgoing.write(chunk.subarray(0, chunk.length - (sent - fault.cutRequestAfter)))
      setTimeout(() => outgoing.destroy(), 50)
      incoming.destroy()
      return
    }
    // A server that has answered early, or hung up, takes no more: its answer is all that is left to pass on.
    if (hasAnswered || outgoing.destroyed) break
    if (!outgoing.write(chunk)) await canTakeMore(outgoing)
  }
  incoming.resume()
  outgoing.end()
  await passBack(await answered, response, fault)
}

async function passBack(answer: IncomingMessage, response: ServerResponse, fault: Fault): Promise<void> {
  response.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...fault.headers })
  let at = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (fault.flipByte !== undefined && fault.flipByte >= at && fault.flipByte < at + chunk.length) {
      const index = fault.flipByte - at
      chunk[index] = chunk[index]! ^ 0xff
    }
    at += chunk.length
    if (fault.cutResponseAfter !== undefined && at >= fault.cutResponseAfter) {
      const rest = chunk.subarray(0, chunk.length - (at - fault.cutResponseAfter))
      // Flushed before the cut: the other side keeps what it got.
      response.write(rest, () => response.destroy())
      return
    }
    if (!response.write(chunk)) await canTakeMore(response)
  }
  response.end()
}

/** Resolves when a stream takes more, and also when it never will again. */
async function canTakeMore(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      for (const event of ['drain', 'close', 'error', 'response']) stream.off(event, settle)
      resolve()
    }
    for (const event of ['drain', 'close', 'error', 'response']) stream.once(event, settle)
  })
}
