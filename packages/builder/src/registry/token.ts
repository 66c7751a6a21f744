import { BuilderError } from '../base/errors.ts'
import type { Challenge } from './challenge.ts'
import { isLoopback, meansThisMachine, type RegistryHost } from './host.ts'
import type { Credential, ResolvedOptions } from './options.ts'
import { failureOf, loginCommand, readDocument } from './response-errors.ts'
import { withRetries } from './retry.ts'
import { discard, type ExplainedResponse, type HttpRequest, type Transport } from './transport.ts'

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
  /** A login: a service that gives identity tokens is asked for one, and its refusal is that of what the user typed. */
  readonly isLogin?: boolean
}

export interface Token {
  readonly token: string
  /** What is kept instead of the password, where the service gives one to a login. */
  readonly identityToken: string | undefined
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

/** How a service says that it takes no GET: then it wants a password by POST, as OAuth2 has it. */
const takesNoGet = new Set([404, 405, 501])

/**
 * Fetches a bearer token: by GET with user and password or with nothing (Docker token specification), by POST with a
 * refresh token, or with user and password where no GET is taken (OAuth2). Redirects are not followed: the credential
 * is for this address.
 * @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_PROTOCOL
 */
export async function fetchToken(transport: Transport, request: TokenRequest): Promise<Token> {
  return await withRetries(request.options, request.signal, async () => {
    let response = await transport.send(httpRequest(request))
    const { credential } = request
    if (takesNoGet.has(response.status) && credential?.kind === 'password') {
      await discard(response)
      const { username, password } = credential
      response = await transport.send(grantRequest(request, { grant_type: 'password', username, password }))
    }
    const deadlineMs = request.options.timeouts.documentMs
    if (response.status !== 200) throw await refusal(response, request)
    const what = `the token for ${request.registry}`
    return parseToken(await readDocument(response, { maxBytes: MAX_TOKEN_BYTES, deadlineMs }, what), what)
  })
}

/** A question by POST, whose secrets stand in its body (Docker token specification, OAuth2). */
function grantRequest(request: TokenRequest, grant: Readonly<Record<string, string>>): HttpRequest {
  const { realm, scopes, isLogin } = request
  const form = new URLSearchParams({
    ...grant,
    service: realm.service,
    client_id: CLIENT_ID,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...(isLogin === true ? { access_type: 'offline' } : {}),
  })
  return {
    method: 'POST',
    url: new URL(realm.url),
    headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    signal: request.signal,
    registry: request.registry,
    skipVerify: realm.skipVerify,
  }
}

function httpRequest(request: TokenRequest): HttpRequest {
  const { realm, scopes, credential, isLogin } = request
  if (credential?.kind === 'identityToken')
    return grantRequest(request, { grant_type: 'refresh_token', refresh_token: credential.token })
  const common = { signal: request.signal, registry: request.registry, skipVerify: realm.skipVerify }
  const url = new URL(realm.url)
  if (realm.service !== '') url.searchParams.set('service', realm.service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential?.kind !== 'password') return { ...common, method: 'GET', url, headers: { accept: 'application/json' } }
  url.searchParams.set('account', credential.username)
  if (isLogin === true) {
    url.searchParams.set('client_id', CLIENT_ID)
    url.searchParams.set('offline_token', 'true')
  }
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
    hasCredential: credential !== undefined,
  })
  const { status } = response
  // A service of passwords by POST alone has nothing for who brings none.
  const isRefusal = [400, 401, 403].includes(status) || (status === 405 && credential === undefined)
  if (!isRefusal) return error
  if (request.isLogin === true)
    return new BuilderError(
      'OCI_REGISTRY_UNAUTHORIZED',
      `the login to ${registry} failed: its token service (${request.realm.url.host}) answered with status ${response.status}`,
      {
        hint: 'check the user name and the password, or the token that stands for it',
        details: { registry, status: response.status },
        cause: error,
      },
    )
  const who = credential === undefined ? 'wants a login' : 'refuses the stored credentials'
  return new BuilderError(
    'OCI_REGISTRY_UNAUTHORIZED',
    `the token service of ${registry} (${request.realm.url.host}) ${who}`,
    {
      hint: `log in: ${loginCommand(registry)}`,
      details: { registry, status: response.status },
      cause: error,
    },
  )
}

function parseToken(body: Buffer, what: string): Token {
  let answer: { token?: unknown; access_token?: unknown; refresh_token?: unknown; expires_in?: unknown } | null
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
  const refresh = answer?.refresh_token
  return {
    token,
    identityToken: typeof refresh === 'string' && refresh !== '' ? refresh : undefined,
    lifeSeconds: typeof life === 'number' && life > 0 ? life : undefined,
  }
}
