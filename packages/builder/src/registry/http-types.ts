import type { Readable } from 'node:stream'
import type { SecureContext } from 'node:tls'

/** A header block of a registry is small; a hostile one is cut here. */
export const MAX_HEADER_BYTES: number = 64 * 1024

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
  /** How large the body of the answer will be, where that is known. */
  readonly expectedBytes?: number | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Must be read to its end, destroyed, or given to {@link discard}. */
  readonly body: Readable
}

/** A response whose reader can say in words what became of its body. */
export interface ExplainedResponse extends HttpResponse {
  /** The error of the body as one of ours. */
  readonly explain: (error: unknown) => unknown
}

/** One way to send, with connections of its own. */
export interface Sender {
  send(request: HttpRequest): Promise<HttpResponse>
  close(): Promise<void>
}

export interface TlsOptions {
  readonly rejectUnauthorized?: false
  readonly secureContext?: SecureContext
}
