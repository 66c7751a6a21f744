import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import { resolveOptions } from '../../registry/options.ts'
import { withRetries } from '../../registry/retry.ts'
import { createTransport, discard, type HttpResponse, type Transport } from '../../registry/transport.ts'
import { failed } from './spec.ts'

/** One GET or HEAD of a file, redirects followed. */
export interface FileRequest {
  readonly method: 'GET' | 'HEAD'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal | undefined
}

export interface FileResponse {
  readonly status: number
  header(name: string): string | undefined
  /** Decoded if the server packed it for the way. */
  readonly body: Readable
  discard(): Promise<void>
}

export interface FileClient {
  /** Throws OCI_SOURCE_FAILED. */
  send(request: FileRequest): Promise<FileResponse>
  close(): Promise<void>
}

const MAX_REDIRECTS = 10
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** A client of files on the web. Connections are kept until it is closed. */
export function createFileClient(): FileClient {
  const options = resolveOptions()
  let transport: Transport | undefined

  async function send(request: FileRequest): Promise<FileResponse> {
    let url = parseUrl(request.url)
    let asked = request.url
    let headers = request.headers
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await sendOnce(url, headers, request)
      const location = response.headers['location']
      if (!REDIRECTS.has(response.status) || typeof location !== 'string') return present(response)
      await discard(response)
      const next = parseUrl(location, url)
      // A credential goes to the host that it is for, and to nobody that this host names.
      if (next.origin !== url.origin)
        headers = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'authorization'))
      url = next
      asked = location
    }
    throw failed(request.url, `Get "${scrubCredentials(asked)}": stopped after ${MAX_REDIRECTS} redirects`)
  }

  async function sendOnce(
    url: URL,
    headers: Readonly<Record<string, string>>,
    request: FileRequest,
  ): Promise<HttpResponse> {
    transport ??= createTransport(options)
    try {
      const connection = transport
      return await withRetries({ retries: 2, retryDelayMs: 250 }, request.signal, () =>
        connection.send({
          method: request.method,
          url,
          headers,
          signal: request.signal,
          registry: url.host,
          skipVerify: false,
        }),
      )
    } catch (cause) {
      if (!(cause instanceof BuilderError) || cause.code === 'OCI_CANCELED') throw cause
      throw new BuilderError(
        'OCI_SOURCE_FAILED',
        `failed to load cache key: Get "${scrubCredentials(request.url)}": ${cause.message}`,
        {
          hint: 'is the address right, and reachable from here?',
          cause,
          details: cause.details,
        },
      )
    }
  }

  return { send, close: async () => transport?.close() }
}

function present(response: HttpResponse): FileResponse {
  const header = (name: string): string | undefined => {
    const value = response.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const isPacked = header('content-encoding')?.toLowerCase() === 'gzip'
  return {
    status: response.status,
    header,
    // Unpacked when it is read: the answer to a HEAD has the header and no body, which gunzip would take for a cut one.
    get body() {
      return isPacked ? unpack(response.body) : response.body
    },
    discard: () => discard(response),
  }
}

function unpack(body: Readable): Readable {
  const gunzip = createGunzip()
  body.on('error', (error) => gunzip.destroy(error))
  gunzip.on('close', () => body.destroy())
  return body.pipe(gunzip)
}

/** @throws OCI_SOURCE_FAILED for what is no URL, or one of another kind */
export function parseUrl(text: string, base?: URL): URL {
  let url: URL
  try {
    url = new URL(text, base)
  } catch (cause) {
    throw failed(text, 'it is no URL', cause)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw failed(text, `${url.protocol.slice(0, -1)} is not spoken here`)
  return url
}
