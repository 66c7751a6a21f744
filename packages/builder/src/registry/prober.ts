import type { IncomingMessage } from 'node:http'
import { createRegistryClient, type RegistryClient } from './client.ts'
import { isUnknownIssuer, toRegistryError } from './network-errors.ts'
import type { RegistryClientOptions, ResolvedOptions } from './options.ts'
import {
  createTransport,
  isDirect,
  MAX_HEADER_BYTES,
  type HttpRequest,
  type HttpResponse,
  type Transport,
} from './transport.ts'

/** Milliseconds for each step of one question: connection, answer, token. */
const STEP_MS = 5000

/**
 * A client for the one question that a cached build asks. undici takes some 24 ms to load and Node's own client 6, which
 * a build that does nothing else would feel; it serves what goes straight to the registry, all else goes the usual way.
 */
export function createProber(options: RegistryClientOptions): RegistryClient {
  const timeouts = { connectMs: STEP_MS, headersMs: STEP_MS, documentMs: STEP_MS }
  return createRegistryClient(
    { ...options, retries: 0, timeouts: { ...timeouts, ...options.timeouts } },
    createLightTransport,
  )
}

function createLightTransport(options: ResolvedOptions): Transport {
  let usual: Transport | undefined
  const sendUsually = (request: HttpRequest): Promise<HttpResponse> =>
    (usual ??= createTransport(options)).send(request)
  return {
    async send(request) {
      if (request.body !== undefined || !isDirect(request.url, options)) return await sendUsually(request)
      try {
        return await sendLightly(request, options.timeouts.headersMs)
      } catch (error) {
        // Authorities of the system are tried there.
        if (isUnknownIssuer(error)) return await sendUsually(request)
        throw toRegistryError(error, request)
      }
    },
    close: async () => usual?.close(),
  }
}

function sendLightly(request: HttpRequest, timeoutMs: number): Promise<HttpResponse> {
  const { url, method, headers, signal, skipVerify } = request
  // Not `import`: that reads every export, and one of them is Node's own undici (20 ms).
  const { request: send } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http')
  return new Promise<HttpResponse>((resolve, reject) => {
    const outgoing = send(url, {
      method,
      headers,
      // One question, one connection: none is left open for a second that does not come.
      agent: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      rejectUnauthorized: !skipVerify,
      ...(signal === undefined ? {} : { signal }),
    })
    const timer = setTimeout(
      () => outgoing.destroy(Object.assign(new Error('no answer'), { code: 'UND_ERR_HEADERS_TIMEOUT' })),
      timeoutMs,
    )
    outgoing.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    outgoing.once('response', (response: IncomingMessage) => {
      clearTimeout(timer)
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response })
    })
    outgoing.end()
  })
}
