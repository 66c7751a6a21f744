import { BuilderError } from '../base/errors.ts'
import type { Challenge } from './challenge.ts'
import { isLoopback, meansThisMachine, type RegistryHost } from './host.ts'
import type { Credential, ResolvedOptions } from './options.ts'
import { failureOf, readDocument } from './response-errors.ts'
import { withRetries } from './retry.ts'
import type { ExplainedResponse, HttpRequest, Transport } from './transport.ts'

/** Where a registry gets its tokens made. */
export interface TokenRealm {
  readonly url: URL
  readonly service: string
  readonly skipVerify: boolean
}

export interface TokenRequest {
  readonly realm: TokenRealm
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
  /** Name of the registry, for messages. */
  readonly registry: string
  readonly signal: AbortSignal | undefined
  readonly options: ResolvedOptions
  readonly redact: (text: string) => string
}

export interface Token {
  readonly token: string
  readonly lifeSeconds: number | undefined
}

const MAX_TOKEN_BYTES = 1024 * 1024
const CLIENT_ID = 'tsbuild'

/**
 * The realm of a Bearer challenge. Plain HTTP only where the registry itself is reached so and the realm's host is the
 * registry's own, loopback beside loopback, or allowed by name: else a registry could have a password sent in the clear.
 * @throws OCI_REGISTRY_PROTOCOL, OCI_REGISTRY_INSECURE
 */
export function tokenRealm(
  host: RegistryHost,
  challenge: Challenge,
  isPlainHttp: boolean,
  options: ResolvedOptions,
): TokenRealm {
  const realm = challenge.parameters['realm'] ?? ''
  if (!URL.canParse(realm) || !/^https?:/.test(realm)) {
    throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${host.name} names no usable address of its token service`, {
      hint: 'check that this is a registry',
    })
  }
  const url = new URL(realm)
  url.username = ''
  url.password = ''
  const isAllowed = options.insecureRegistries.has(url.host) || options.insecureRegistries.has(url.hostname)
  if (meansThisMachine(url.hostname) && !host.isLoopback && !isAllowed) {
    throw new BuilderError(
      'OCI_REGISTRY_PROTOCOL',
      `${host.name} wants its tokens fetched from this machine (${url.host})`,
      { hint: 'a registry elsewhere has no business there' },
    )
  }
  const isOwn = url.hostname === host.address.replace(/:\d+$/, '')
  const mayBePlain = isAllowed || (isPlainHttp && (isOwn || (host.isLoopback && isLoopback(url.hostname))))
  if (url.protocol === 'http:' && !mayBePlain) {
    throw new BuilderError(
      'OCI_REGISTRY_INSECURE',
      `${host.name} wants its tokens fetched from ${url.host} over plain HTTP`,
      {
        hint: `if this network can be trusted, allow it: --insecure-registry=${url.host}`,
      },
    )
  }
  return { url, service: challenge.parameters['service'] ?? '', skipVerify: isAllowed || (isOwn && host.isInsecure) }
}

/**
 * Fetches a bearer token: by GET with user and password or with nothing (Docker token specification), by POST with a
 * refresh token (OAuth2). Redirects are not followed: the credential is for this address.
 * @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_PROTOCOL
 */
export async function fetchToken(transport: Transport, request: TokenRequest): Promise<Token> {
  return await withRetries(request.options, request.signal, async () => {
    const response = await transport.send(httpRequest(request))
    const { deadlineMs } = { deadlineMs: request.options.timeouts.documentMs }
    if (response.status !== 200) throw await refusal(response, request)
    const what = `the token for ${request.registry}`
    return parseToken(await readDocument(response, { maxBytes: MAX_TOKEN_BYTES, deadlineMs }, what), what)
  })
}

function httpRequest(request: TokenRequest): HttpRequest {
  const { realm, scopes, credential } = request
  const common = { signal: request.signal, registry: request.registry, skipVerify: realm.skipVerify }
  const url = new URL(realm.url)
  if (credential?.kind === 'identityToken') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credential.token,
      service: realm.service,
      client_id: CLIENT_ID,
      scope: scopes.join(' '),
    })
    return {
      ...common,
      method: 'POST',
      url,
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(form.toString()),
    }
  }
  if (realm.service !== '') url.searchParams.set('service', realm.service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential?.kind !== 'password') return { ...common, method: 'GET', url, headers: { accept: 'application/json' } }
  url.searchParams.set('account', credential.username)
  const basic = Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')
  return { ...common, method: 'GET', url, headers: { accept: 'application/json', authorization: `Basic ${basic}` } }
}

async function refusal(response: ExplainedResponse, request: TokenRequest): Promise<BuilderError> {
  const { registry, credential, redact } = request
  const error = await failureOf(response, {
    what: `the token service of ${registry} (${request.realm.url.host})`,
    registry,
    deadlineMs: request.options.timeouts.documentMs,
    redact,
    notes: [],
  })
  if (response.status !== 401 && response.status !== 403 && response.status !== 400) return error
  const who = credential === undefined ? 'wants a login' : 'refuses the stored credentials'
  return new BuilderError(
    'OCI_REGISTRY_UNAUTHORIZED',
    `the token service of ${registry} (${request.realm.url.host}) ${who}`,
    {
      hint: `log in: docker login ${registry}, podman login ${registry}`,
      details: { registry, status: response.status },
      cause: error,
    },
  )
}

function parseToken(body: Buffer, what: string): Token {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null
  try {
    answer = JSON.parse(body.toString('utf8')) as typeof answer
  } catch {
    answer = null
  }
  const token = [answer?.token, answer?.access_token].find(
    (value): value is string => typeof value === 'string' && value !== '',
  )
  // What goes into a header must not be able to end it.
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${what}: the answer holds no token`, {
      hint: 'check that this is a registry',
    })
  }
  const life = answer?.expires_in
  return { token, lifeSeconds: typeof life === 'number' && life > 0 ? life : undefined }
}
