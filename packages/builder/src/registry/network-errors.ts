import { BuilderError } from '../base/errors.ts'
import { canceled } from './retry.ts'

interface FailedRequest {
  readonly registry: string
  readonly url: URL
  readonly signal: AbortSignal | undefined
  /** `host:port` of the proxy that the request went through. */
  readonly proxy?: string | undefined
}

const unknownIssuer = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
])
const badCertificate = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_UNTRUSTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
])
/** How OpenSSL says that the other side answered a TLS hello with plain text. */
const notTls = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_UNKNOWN_PROTOCOL',
  'ERR_SSL_RECORD_LAYER_FAILURE',
])
/** The same, when something was to be written by then: the code is that of the write. */
const notTlsReason =
  /:(?:wrong version number|packet length too long|http request|unknown protocol|record layer failure):/
/** Lasting: another try a second later finds the same. */
const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EACCES: 'not permitted',
  EPERM: 'not permitted',
}
const passing: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped coming',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_DESTROYED: 'connection closed',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  ECONNABORTED: 'connection aborted',
}

/** True when a certificate did not verify because its issuer is not among the trusted ones. */
export function isUnknownIssuer(error: unknown): boolean {
  return unknownIssuer.has(codeOf(error))
}

/** Makes one clear error of whatever the client, TLS or the kernel threw; `details.isTransient` says whether another try may help. */
export function toRegistryError(error: unknown, request: FailedRequest): unknown {
  if (error instanceof BuilderError) return error
  if (request.signal?.aborted === true) return canceled(request.signal, error)
  const { registry, url } = request
  const code = codeOf(error)
  const way = request.proxy === undefined ? '' : ` by the proxy ${request.proxy}`
  const where = `${url.host === registry ? registry : `${registry} (${url.host})`}${way}`
  const details = { registry, host: url.host, errno: code }
  if (unknownIssuer.has(code) || badCertificate.has(code)) {
    return new BuilderError('OCI_REGISTRY_INSECURE', `the certificate of ${where} does not verify (${code})`, {
      hint: `put its authority into a folder: /etc/docker/certs.d/${url.host}/ca.crt, or --cert-dir FOLDER; to go without, allow it: --insecure-registry=${url.host}`,
      details: { ...details, isCertificate: true },
    })
  }
  if (notTls.has(code) || (code === 'EPROTO' && notTlsReason.test(String(error)))) {
    return new BuilderError('OCI_REGISTRY_INSECURE', `${where} speaks plain HTTP, which is allowed for loopback only`, {
      hint: `if this network can be trusted, allow it: --insecure-registry=${url.host}`,
      details,
    })
  }
  const lasting = unreachable[code]
  if (lasting !== undefined) {
    const hint =
      code === 'ENOTFOUND'
        ? 'check the name, and the name server of this machine'
        : 'check that it runs and listens there, and what firewalls and proxies are in between'
    return new BuilderError('OCI_REGISTRY_UNREACHABLE', `cannot reach ${where}: ${lasting}`, { hint, details })
  }
  const short = passing[code]
  if (short !== undefined) {
    return new BuilderError('OCI_REGISTRY_UNREACHABLE', `cannot reach ${where}: ${short}`, {
      hint: 'try again; it may be overloaded or the network unsteady',
      details: { ...details, isTransient: true },
    })
  }
  const refusal = request.proxy === undefined ? undefined : /^Proxy response \((\d+)\)/.exec(messageOf(error))?.[1]
  if (refusal !== undefined) {
    return new BuilderError('OCI_REGISTRY_UNREACHABLE', `cannot reach ${where}: it refuses with status ${refusal}`, {
      hint: 'check the name and password in HTTPS_PROXY, and what the proxy allows; NO_PROXY names hosts that need none',
      details,
    })
  }
  if (code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW' || code.startsWith('UND_ERR_RES')) {
    return new BuilderError('OCI_REGISTRY_PROTOCOL', `${where} does not answer in HTTP (${code})`, {
      hint: 'check the name and the port',
      details,
    })
  }
  return new BuilderError('OCI_REGISTRY_UNREACHABLE', `the request to ${where} failed (${code || 'unknown'})`, {
    cause: error,
    details,
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'string') {
    // undici wraps what the kernel says.
    const cause = (error as { cause?: unknown }).cause
    return code === 'UND_ERR_SOCKET' || cause === undefined ? code : codeOf(cause) || code
  }
  const cause = (error as { cause?: unknown } | null)?.cause
  return cause === undefined || cause === error ? '' : codeOf(cause)
}
