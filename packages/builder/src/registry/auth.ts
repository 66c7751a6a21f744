import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { Challenge } from './challenge.ts'
import { createCredentialLookup } from './credentials.ts'
import type { RegistryHost, Repository } from './host.ts'
import type { Credential, ResolvedOptions } from './options.ts'
import { unlessCanceled } from './shared.ts'
import { fetchToken, type TokenRealm, tokenRealm } from './token.ts'
import type { Transport } from './transport.ts'

/** Answers the challenges of registries. A credential goes to the registry it is written down for and to the realm which that registry named, nowhere else. */
export interface Authorizer {
  /** Remembers what a host asked for, so that the next request brings it along. */
  learn(host: RegistryHost, challenges: readonly Challenge[], isPlainHttp: boolean): void
  /** The `Authorization` value for a request, from what is known of the host; undefined: none. */
  authorization(request: AuthorizedRequest): Promise<string | undefined>
  /** Forgets a value that the registry refused. */
  reject(request: AuthorizedRequest, value: string): void
  /** Whether there is a credential; where it came from, or why there is none. */
  tried(
    repository: Repository,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly hasCredential: boolean; readonly notes: readonly string[] }>
  /** Takes every secret of this client out of a text. */
  redact(text: string): string
}

export interface AuthorizedRequest {
  readonly repository: Repository
  /** `repository:library/debian:pull`; sorted. */
  readonly scopes: readonly string[]
  readonly signal: AbortSignal | undefined
}

type Way =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: TokenRealm; readonly scope: string | undefined }

interface CachedToken {
  readonly value: string
  readonly goodUntilMs: number
}

/** Used when a token comes without a lifetime (Docker token specification). */
const DEFAULT_LIFE_S = 60

export function createAuthorizer(transport: Transport, options: ResolvedOptions): Authorizer {
  const lookup = createCredentialLookup(options)
  const ways = new Map<string, Way>()
  const tokens = new Map<string, Promise<CachedToken>>()
  const secrets = new Set<string>()

  const credentialFor = async ({ repository, signal }: AuthorizedRequest): Promise<Credential | undefined> => {
    const { credential } = await lookup.find(repository, signal)
    if (credential !== undefined) secretsOf(credential).forEach((secret) => secrets.add(secret))
    return credential
  }

  const bearer = async (request: AuthorizedRequest, way: Way & { kind: 'bearer' }): Promise<string> => {
    const key = tokenKey(request, way)
    for (let pending = tokens.get(key); pending !== undefined; pending = tokens.get(key)) {
      const known = await settled(pending, request.signal)
      if (known !== undefined && known.goodUntilMs > Date.now()) return `Bearer ${known.value}`
      if (tokens.get(key) === pending) tokens.delete(key)
    }
    const token = credentialFor(request).then(async (credential): Promise<CachedToken> => {
      if (credential?.kind === 'registryToken')
        return { value: credential.token, goodUntilMs: Number.POSITIVE_INFINITY }
      const { registry, scopes } = { registry: request.repository.host.name, scopes: scopesFor(request, way) }
      const answer = await fetchToken(transport, {
        realm: way.realm,
        scopes,
        credential,
        registry,
        signal: request.signal,
        options,
        redact,
      })
      secrets.add(answer.token)
      // A tenth of its life is kept back for clocks and long uploads.
      return { value: answer.token, goodUntilMs: Date.now() + (answer.lifeSeconds ?? DEFAULT_LIFE_S) * 900 }
    })
    tokens.set(key, token)
    token.catch(() => tokens.delete(key))
    return `Bearer ${(await token).value}`
  }

  const redact = (text: string): string => {
    let clean = text
    for (const secret of secrets) if (secret.length > 2) clean = clean.replaceAll(secret, '***')
    return clean
  }

  return {
    redact,
    learn(host, challenges, isPlainHttp) {
      const way = chooseWay(host, challenges, isPlainHttp, options)
      if (way !== undefined) ways.set(host.address, way)
    },
    async authorization(request) {
      const way = ways.get(request.repository.host.address)
      if (way === undefined) return undefined
      if (way.kind === 'bearer') return await bearer(request, way)
      const credential = await credentialFor(request)
      return credential === undefined ? undefined : basicValue(credential)
    },
    reject(request) {
      const way = ways.get(request.repository.host.address)
      if (way?.kind === 'bearer') tokens.delete(tokenKey(request, way))
    },
    async tried(repository, signal) {
      const { credential, notes } = await lookup.find(repository, signal)
      return { hasCredential: credential !== undefined, notes }
    },
  }
}

/** A token that somebody else asked for; undefined when only their work was canceled, not ours. */
async function settled(
  pending: Promise<CachedToken>,
  signal: AbortSignal | undefined,
): Promise<CachedToken | undefined> {
  try {
    return await unlessCanceled(pending, signal)
  } catch (error) {
    if (signal?.aborted !== true && isTsOciError(error) && error.code === 'OCI_CANCELED') return undefined
    throw error
  }
}

function tokenKey(request: AuthorizedRequest, way: Way & { kind: 'bearer' }): string {
  return [request.repository.host.address, way.realm.url.href, way.realm.service, ...scopesFor(request, way)].join(' ')
}

/** Our own scopes, and the challenge's when it names something else than we thought. */
function scopesFor(request: AuthorizedRequest, way: Way & { kind: 'bearer' }): readonly string[] {
  const asked = way.scope?.split(' ').filter((scope) => scope !== '') ?? []
  const ownNames = new Set(request.scopes.map(scopeName))
  // A registry may know the repository by another name (a proxy's prefix); its scope is only taken for that.
  const others = asked.filter(
    (scope) => !ownNames.has(scopeName(scope)) && scopeName(scope).endsWith(`/${request.repository.path}`),
  )
  return [...request.scopes, ...others]
}

function scopeName(scope: string): string {
  return scope.slice(scope.indexOf(':') + 1, scope.lastIndexOf(':'))
}

/** Bearer where it is offered, else Basic. @throws OCI_REGISTRY_PROTOCOL for a realm that must not be trusted. */
function chooseWay(
  host: RegistryHost,
  challenges: readonly Challenge[],
  isPlainHttp: boolean,
  options: ResolvedOptions,
): Way | undefined {
  const token = challenges.find(
    (challenge) => challenge.scheme === 'bearer' && challenge.parameters['realm'] !== undefined,
  )
  if (token !== undefined)
    return { kind: 'bearer', realm: tokenRealm(host, token, isPlainHttp, options), scope: token.parameters['scope'] }
  return challenges.some((challenge) => challenge.scheme === 'basic') ? { kind: 'basic' } : undefined
}

function basicValue(credential: Credential): string {
  if (credential.kind === 'registryToken') return `Bearer ${credential.token}`
  if (credential.kind === 'identityToken') {
    throw new BuilderError(
      'OCI_CREDENTIALS',
      'the registry asks for a password, but an identity token is stored for it',
      { hint: 'log in again with user and password' },
    )
  }
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')}`
}

function secretsOf(credential: Credential): string[] {
  if (credential.kind !== 'password') return [credential.token]
  return [credential.password, Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')]
}
