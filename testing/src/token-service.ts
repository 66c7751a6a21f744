import { createPrivateKey, type KeyObject, randomUUID, sign, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { checkTool } from './command.ts'

export interface TokenService {
  /** URL that the registry sends clients to. */
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** Path of the certificate (PEM) that the registry trusts. */
  readonly certificate: string
  /** What was asked for, in order: the scopes, and whether the right password or identity token came along. */
  readonly requests: { readonly scopes: readonly string[]; readonly authenticated: boolean }[]
  /** What stands for the password where identity tokens are given. */
  readonly identityToken: string
  stop(): Promise<void>
}

export interface Credentials {
  readonly user: string
  readonly password: string
}

export interface TokenKinds {
  /** A login that asks for one gets an identity token (Docker: `offline_token`). */
  readonly givesIdentityTokens?: boolean
  /** Passwords come by POST alone, as OAuth2 has it. */
  readonly takesNoGet?: boolean
}

interface Signer {
  readonly key: KeyObject
  /** The certificate in DER, base64: how the registry finds out that the key is one that it trusts. */
  readonly certificate: string
}

const service = 'test-registry'
const issuer = 'test-issuer'
const lifeSeconds = 300

/**
 * A token service after the Docker registry token specification: it wants user and password by Basic
 * authentication, or a refresh token by POST, and signs what was asked for. Needs `openssl` for the certificate.
 */
export async function startTokenService(
  directory: string,
  credentials: Credentials,
  kinds: TokenKinds = {},
): Promise<TokenService> {
  const keyFile = join(directory, 'token.key')
  const certificate = join(directory, 'token.crt')
  const subject = ['-subj', '/CN=test-issuer', '-days', '30']
  await checkTool('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    certificate,
    ...subject,
  ])
  const signer = {
    key: createPrivateKey(await readFile(keyFile)),
    certificate: new X509Certificate(await readFile(certificate)).raw.toString('base64'),
  }
  const requests: TokenService['requests'] = []
  const identityToken = randomUUID()
  const context = { signer, credentials, requests, kinds, identityToken }
  const server = createServer((request, response) => void answer(request, response, context))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  return {
    realm: `http://127.0.0.1:${address.port}/token`,
    service,
    issuer,
    certificate,
    requests,
    identityToken,
    stop,
  }
}

interface Context {
  readonly signer: Signer
  readonly credentials: Credentials
  readonly requests: TokenService['requests']
  readonly kinds: TokenKinds
  readonly identityToken: string
}

async function answer(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const { user, password } = context.credentials
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost')
  if (request.method !== 'POST' && context.kinds.takesNoGet === true) return void response.writeHead(405).end()
  let asked = query
  let authenticated = request.headers.authorization === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  if (request.method === 'POST' && pathname === '/token') {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    asked = new URLSearchParams(body)
    authenticated =
      asked.get('grant_type') === 'refresh_token'
        ? asked.get('refresh_token') === context.identityToken
        : asked.get('username') === user && asked.get('password') === password
  }
  const scopes = asked.getAll('scope').flatMap((scope) => scope.split(' '))
  context.requests.push({ scopes, authenticated })
  if (!authenticated) {
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"details":"incorrect username or password"}')
    return
  }
  const token = signToken(context.signer, user, scopes)
  const wantsIdentity = asked.get('offline_token') === 'true' || asked.get('access_type') === 'offline'
  const refresh = wantsIdentity && context.kinds.givesIdentityTokens === true ? context.identityToken : undefined
  response.writeHead(200, { 'content-type': 'application/json' })
  const times = { expires_in: lifeSeconds, issued_at: new Date().toISOString() }
  response.end(JSON.stringify({ token, access_token: token, ...times, refresh_token: refresh }))
}

/** A JSON web token (RFC 7519) as the registry's "token" authentication checks it. */
function signToken(signer: Signer, user: string, scopes: readonly string[]): string {
  const now = Math.floor(Date.now() / 1000)
  const header = { typ: 'JWT', alg: 'RS256', x5c: [signer.certificate] }
  const times = { iat: now, nbf: now - 10, exp: now + lifeSeconds }
  const claims = { iss: issuer, sub: user, aud: service, ...times, jti: randomUUID(), access: scopes.map(accessOf) }
  const body = `${encode(header)}.${encode(claims)}`
  return `${body}.${sign('sha256', Buffer.from(body), signer.key).toString('base64url')}`
}

/** `repository:a/b:pull,push`; the name may hold colons of a port. */
function accessOf(scope: string): { type: string; name: string; actions: string[] } {
  const first = scope.indexOf(':')
  const last = scope.lastIndexOf(':')
  return { type: scope.slice(0, first), name: scope.slice(first + 1, last), actions: scope.slice(last + 1).split(',') }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
