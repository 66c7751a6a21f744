import type { Readable } from 'node:stream'
import { BuilderError } from '../base/errors.ts'
import type { AuthorizedRequest } from './auth.ts'
import { parseChallenges } from './challenge.ts'
import { isLoopback, meansThisMachine, type Repository } from './host.ts'
import { failureOf } from './response-errors.ts'
import { withRetries } from './retry.ts'
import type { Connections } from './connections.ts'
import { discard, type ExplainedResponse, headerOf, type HttpRequest } from './transport.ts'

/** A request to a repository, as the distribution specification has them. */
export interface RegistryRequest {
  readonly method: HttpRequest['method']
  readonly repository: Repository
  /** Below `/v2/<repository>/`, or a whole URL that the registry gave (an upload's location). */
  readonly target: string | URL
  /** `pull`, or `pull,push`. */
  readonly actions: string
  /** Further repositories on the same registry that are read (cross-repository mount). */
  readonly alsoPull?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** Made anew for each try. */
  readonly body?: () => Uint8Array | Readable
  readonly signal: AbortSignal | undefined
  /** For messages: `manifest docker.io/library/debian:12`. */
  readonly what: string
  readonly expect: readonly number[]
  /** Default: the client's number. */
  readonly retries?: number
  /** How large the body of the answer will be, where that is known. */
  readonly expectedBytes?: number
}

export interface RegistryResponse extends ExplainedResponse {
  /** After redirects. */
  readonly url: URL
}

const MAX_REDIRECTS = 10
const redirects = new Set([301, 302, 303, 307, 308])

/**
 * Sends a request: finds the scheme, answers challenges, follows redirects, tries again what may pass.
 * The caller reads or discards the body.
 * @throws OCI_REGISTRY_… for everything that is not among `expect`
 */
export async function send(connections: Connections, request: RegistryRequest): Promise<RegistryResponse> {
  const retries = request.retries ?? connections.options.retries
  return await withRetries({ ...connections.options, retries }, request.signal, async () => {
    const response = await sendAuthorized(connections, request)
    if (request.expect.includes(response.status)) return response
    throw await failure(connections, request, response)
  })
}

async function sendAuthorized(connections: Connections, asGiven: RegistryRequest): Promise<RegistryResponse> {
  const repository = await connections.settled(asGiven.repository)
  const request = repository === asGiven.repository ? asGiven : { ...asGiven, repository }
  const { signal } = request
  const origin = await connections.origin(repository.host, signal)
  const url =
    typeof request.target === 'string' ? new URL(`/v2/${repository.path}/${request.target}`, origin) : request.target
  const asked: AuthorizedRequest = { repository, scopes: scopesOf(request), signal }
  const value = await connections.auth.authorization(asked)
  const first = await follow(connections, request, { origin, url, value })
  if (first.status !== 401 || first.url.origin !== origin.origin) return first
  connections.auth.learn(
    repository.host,
    parseChallenges(first.headers['www-authenticate']),
    origin.protocol === 'http:',
  )
  if (value !== undefined) connections.auth.reject(asked, value)
  const next = await connections.auth.authorization(asked)
  // The same again, or nothing to show: the refusal stands, and its text is worth reading.
  if (next === undefined || next === value) return first
  await discard(first)
  return await follow(connections, request, { origin, url, value: next })
}

function scopesOf(request: RegistryRequest): string[] {
  const others = (request.alsoPull ?? []).filter((path) => path !== request.repository.path)
  return [
    `repository:${request.repository.path}:${request.actions}`,
    ...others.map((path) => `repository:${path}:pull`),
  ].sort()
}

interface Hop {
  readonly origin: URL
  readonly url: URL
  readonly value: string | undefined
}

/** Redirects are followed by hand: the credential is for the registry's own origin, and is gone for good once a redirect led away from it. */
async function follow(connections: Connections, request: RegistryRequest, start: Hop): Promise<RegistryResponse> {
  const { repository } = request
  let { url, value } = start
  let method = request.method
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    checkTarget(connections, request, start.origin, url)
    if (url.origin !== start.origin.origin) value = undefined
    const response = await connections.transport.send({
      method,
      url,
      headers: {
        'user-agent': 'tsbuild',
        ...headersFor(method, request),
        ...(value === undefined ? {} : { authorization: value }),
      },
      body: method === request.method ? request.body?.() : undefined,
      signal: request.signal,
      registry: repository.host.name,
      expectedBytes: request.expectedBytes,
      skipVerify:
        url.origin === start.origin.origin
          ? repository.host.isInsecure
          : connections.options.insecureRegistries.has(url.host),
    })
    const location = headerOf(response, 'location')
    if (!redirects.has(response.status) || location === undefined || request.expect.includes(response.status))
      return { ...response, url }
    await discard(response)
    url = resolveLocation(location, url, request)
    // A redirected body is sent again only where the status says so (RFC 9110 section 15.4).
    if (response.status < 307 && method !== 'HEAD') method = 'GET'
  }
  throw new BuilderError(
    'OCI_REGISTRY_PROTOCOL',
    `${request.what}: ${repository.host.name} redirects more than ${MAX_REDIRECTS} times`,
    { hint: 'the registry, or a proxy before it, redirects in a circle' },
  )
}

/** What tells of a body goes only with it: a server would wait for the bytes of a length. */
function headersFor(method: RegistryRequest['method'], { method: asked, headers = {} }: RegistryRequest) {
  if (method === asked) return headers
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('content-')))
}

/** A `Location` against the URL that gave it. @throws OCI_REGISTRY_PROTOCOL */
export function resolveLocation(
  location: string,
  base: URL,
  request: Pick<RegistryRequest, 'what' | 'repository'>,
): URL {
  if (!URL.canParse(location, base.href)) {
    throw new BuilderError(
      'OCI_REGISTRY_PROTOCOL',
      `${request.what}: ${request.repository.host.name} gave an address that is none`,
      { hint: 'check that this is a registry' },
    )
  }
  const url = new URL(location, base.href)
  url.username = ''
  url.password = ''
  return url
}

/** Where a registry may send us: never from the network to this machine, and never from TLS to plain text. */
function checkTarget(connections: Connections, request: RegistryRequest, origin: URL, url: URL): void {
  if (url.origin === origin.origin) return
  const { host } = request.repository
  const allowed = connections.options.insecureRegistries
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${request.what}: ${host.name} redirects to ${url.protocol}//…`, {
      hint: 'check that this is a registry',
    })
  }
  if (allowed.has(url.host) || allowed.has(url.hostname)) return
  if (meansThisMachine(url.hostname) && !host.isLoopback) {
    throw new BuilderError(
      'OCI_REGISTRY_PROTOCOL',
      `${request.what}: ${host.name} redirects to this machine (${url.host})`,
      { hint: 'a registry elsewhere has no business there' },
    )
  }
  if (url.protocol === 'http:' && !(host.isLoopback && isLoopback(url.hostname))) {
    throw new BuilderError(
      'OCI_REGISTRY_INSECURE',
      `${request.what}: ${host.name} leads to plain HTTP on ${url.host}`,
      {
        hint: `a registry behind a TLS proxy must know its outer address; if this network can be trusted, allow it: --insecure-registry=${url.host}`,
      },
    )
  }
}

async function failure(
  connections: Connections,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<BuilderError> {
  const { host } = request.repository
  const isOwn = response.url.host === host.address
  const isAboutRights = response.status === 401 || response.status === 403
  const tried = isAboutRights ? await connections.auth.tried(request.repository, request.signal) : undefined
  return await failureOf(response, {
    what: request.what,
    registry: isOwn ? host.name : `${response.url.host} (where ${host.name} redirects to)`,
    deadlineMs: connections.options.timeouts.documentMs,
    redact: (text) => connections.auth.redact(text),
    notes: tried?.notes ?? [],
    hasCredential: tried?.hasCredential ?? true,
  })
}
