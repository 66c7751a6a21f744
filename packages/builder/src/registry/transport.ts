import type { ExplainedResponse, HttpRequest, HttpResponse, Sender, TlsOptions } from './http-types.ts'
import { isUnknownIssuer, toRegistryError } from './network-errors.ts'
import { createNodeHttp } from './node-http.ts'
import { findCertificates } from './host-certificates.ts'
import type { ResolvedOptions } from './options.ts'
import type { HostCertificates, RegistrySettings } from './settings/types.ts'
import { proxyFor } from './proxies.ts'

export type { ExplainedResponse, HttpRequest, HttpResponse } from './http-types.ts'

/** Sends single requests over kept connections; knows nothing of registries, redirects or credentials. */
export interface Transport {
  /** @throws OCI_REGISTRY_UNREACHABLE, OCI_REGISTRY_INSECURE, OCI_REGISTRY_PROTOCOL, OCI_CANCELED */
  send(request: HttpRequest): Promise<ExplainedResponse>
  close(): Promise<void>
}

/** @param settings what files say of registries; asked for TLS alone */
export type MakeTransport = (
  options: ResolvedOptions,
  settings?: () => Promise<RegistrySettings | undefined>,
) => Transport

type Trust = 'bundled' | 'system' | 'none'

/** From here on undici saves more than it takes to load. */
const LARGE_BYTES = 128 * 1024 * 1024

/**
 * See {@link Transport}. What goes straight to its host is sent by Node's own client; undici, which takes ten times as long to
 * load, serves proxies, and large downloads: there it takes two thirds of the processor's time.
 */
export function createTransport(
  options: ResolvedOptions,
  settings: () => Promise<RegistrySettings | undefined> = async () => undefined,
): Transport {
  const senders = new Map<string, Promise<Sender>>()
  const certificates = new Map<string, Promise<HostCertificates | undefined>>()
  let trust: Trust = 'bundled'
  const certificatesFor = ({ url, registry }: HttpRequest): Promise<HostCertificates | undefined> => {
    let found = certificates.get(url.host)
    if (found === undefined) {
      found = findCertificates(url, url.host === registry, options, settings)
      certificates.set(url.host, found)
    }
    return found
  }
  const senderFor = async (request: HttpRequest, proxy: URL | undefined): Promise<Sender> => {
    const isTls = request.url.protocol === 'https:'
    const own = isTls ? await certificatesFor(request) : undefined
    const trusted = !isTls ? 'bundled' : request.skipVerify ? 'none' : trust
    const isLight = proxy === undefined && (request.expectedBytes ?? 0) < LARGE_BYTES
    const key = `${isLight} ${trusted} ${proxy?.href ?? ''} ${own === undefined ? '' : request.url.host}`
    let sender = senders.get(key)
    if (sender === undefined) {
      sender = makeSender(proxy, isLight, tlsOptions(trusted, own), options)
      senders.set(key, sender)
    }
    return sender
  }
  const send = async (request: HttpRequest): Promise<ExplainedResponse> => {
    const proxy = proxyFor(request.url, options.environment)
    const explain = (error: unknown): unknown => toRegistryError(error, { ...request, proxy: proxy?.host })
    try {
      return { ...(await (await senderFor(request, proxy)).send(request)), explain }
    } catch (error) {
      // Node trusts its own list of authorities; one that the administrator added to the system is tried only then (38 ms).
      if (isUnknownIssuer(error) && trust === 'bundled' && !request.skipVerify && isRepeatable(request)) {
        trust = 'system'
        return await send(request)
      }
      throw explain(error)
    }
  }
  const close = async (): Promise<void> => {
    const all = await Promise.all(senders.values())
    senders.clear()
    await Promise.all(all.map((sender) => sender.close()))
  }
  return { send, close }
}

function isRepeatable(request: HttpRequest): boolean {
  return request.body === undefined || request.body instanceof Uint8Array
}

async function makeSender(
  proxy: URL | undefined,
  isLight: boolean,
  tls: TlsOptions,
  { timeouts }: ResolvedOptions,
): Promise<Sender> {
  if (isLight) return createNodeHttp({ timeouts, tls })
  const { createUndiciHttp } = await import('./undici-http.ts')
  return createUndiciHttp({ timeouts, tls, proxy })
}

function tlsOptions(trust: Trust, own: HostCertificates | undefined): TlsOptions {
  const rejectUnauthorized = trust === 'none' ? { rejectUnauthorized: false as const } : {}
  if (trust !== 'system' && own === undefined) return rejectUnauthorized
  // Not imported: that reads every export, and one of them is the list of all authorities.
  const { createSecureContext, getCACertificates } = process.getBuiltinModule('node:tls')
  // Who keeps certificates for a registry has an authority of its own: the system's are asked at once.
  const known = [...getCACertificates('default'), ...getCACertificates('system')]
  const ca = [...new Set([...known, ...(own?.authorities ?? [])])]
  const [pair] = own?.pairs ?? []
  return { ...rejectUnauthorized, secureContext: createSecureContext({ ca, ...pair }) }
}

/** A rest that takes longer than this costs more than a new connection. */
const MAX_DISCARD_MS = 1000

/** Reads a small rest of a body so that the connection can be used again, or drops the connection. */
export async function discard(response: HttpResponse): Promise<void> {
  const { body } = response
  let left = 64 * 1024
  const timer = setTimeout(() => body.destroy(), MAX_DISCARD_MS)
  try {
    for await (const chunk of body) {
      left -= (chunk as Uint8Array).length
      if (left < 0) break
    }
  } catch {
    // Nobody wants this body: how it ended does not matter.
  } finally {
    clearTimeout(timer)
  }
  body.destroy()
}

/** One header as text; of several the first. */
export function headerOf(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
