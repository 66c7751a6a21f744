import { BuilderError } from '../../base/errors.ts'
import { parseChallenges } from '../challenge.ts'
import type { Connections } from '../connections.ts'
import type { RegistryHost } from '../host.ts'
import type { Credential } from '../options.ts'
import { failureOf } from '../response-errors.ts'
import { fetchToken, tokenRealm } from '../token.ts'
import { discard, type ExplainedResponse } from '../transport.ts'

/**
 * Asks a registry whether it lets somebody in: `/v2/` with what its challenge wants.
 * @returns what to keep instead of the password: the identity token of a token service that gives one
 * @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_PROTOCOL, OCI_REGISTRY_UNREACHABLE
 */
export async function verifyLogin(
  connections: Connections,
  host: RegistryHost,
  credential: Credential,
  signal: AbortSignal | undefined,
): Promise<Credential> {
  const { options, transport } = connections
  const origin = await connections.origin(host, signal)
  const ask = (authorization: string | undefined): Promise<ExplainedResponse> =>
    transport.send({
      method: 'GET',
      url: new URL('/v2/', origin),
      headers: { 'user-agent': 'tsbuild', ...(authorization === undefined ? {} : { authorization }) },
      signal,
      registry: host.name,
      skipVerify: host.isInsecure,
    })
  const redact = redactorOf(credential)
  const check = async (response: ExplainedResponse): Promise<void> => {
    if (response.status === 200) return await discard(response)
    throw await refusal(response, {
      host,
      url: new URL('/v2/', origin),
      redact,
      deadlineMs: options.timeouts.documentMs,
    })
  }
  const first = await ask(undefined)
  const challenges = first.status === 401 ? parseChallenges(first.headers['www-authenticate']) : []
  const token = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters['realm'] !== undefined)
  if (token !== undefined) {
    await discard(first)
    const realm = tokenRealm(host, token, origin.protocol === 'http:', options)
    const request = { realm, scopes: [], credential, registry: host.name, signal, options, redact, isLogin: true }
    const answer = await fetchToken(transport, request)
    await check(await ask(`Bearer ${answer.token}`))
    if (credential.kind !== 'password' || answer.identityToken === undefined) return credential
    return { kind: 'identityToken', username: credential.username, token: answer.identityToken }
  }
  if (challenges.some(({ scheme }) => scheme === 'basic') && credential.kind === 'password') {
    await discard(first)
    await check(await ask(basicOf(credential)))
  } else await check(first)
  return credential
}

function basicOf({ username, password }: Credential & { kind: 'password' }): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}

/** What a registry says may repeat what it was sent. */
function redactorOf(credential: Credential): (text: string) => string {
  const secrets =
    credential.kind === 'password'
      ? [credential.password, basicOf(credential).slice('Basic '.length)]
      : [credential.token]
  return (text) => secrets.reduce((clean, secret) => (secret === '' ? clean : clean.replaceAll(secret, '***')), text)
}

async function refusal(
  response: ExplainedResponse,
  context: {
    readonly host: RegistryHost
    readonly url: URL
    readonly redact: (text: string) => string
    readonly deadlineMs: number
  },
): Promise<BuilderError> {
  const { host, url } = context
  const { status } = response
  const cause = await failureOf(response, {
    ...context,
    what: `login to ${host.name}`,
    registry: host.name,
    notes: [],
    hasCredential: true,
  })
  if (status === 404)
    return new BuilderError('OCI_REGISTRY_PROTOCOL', `${url.href} is not there: ${host.name} is no registry`, {
      hint: 'check the name and the port of the registry',
      cause,
    })
  if (status !== 401 && status !== 403) return cause
  return new BuilderError(
    'OCI_REGISTRY_UNAUTHORIZED',
    `login attempt to ${url.href} failed with status: ${status} ${status === 401 ? 'Unauthorized' : 'Forbidden'}`,
    { hint: 'check the user name and the password, or the token that stands for it', details: { status }, cause },
  )
}
