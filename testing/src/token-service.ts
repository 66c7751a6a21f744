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
  /** What was asked for, in order: the scopes, and whether a password came along. */
  readonly requests: { readonly scopes: readonly string[]; readonly authenticated: boolean }[]
  stop(): Promise<void>
}

export interface Credentials {
  readonly user: string
  readonly password: string
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
export async function startTokenService(directory: string, credentials: Credentials): Promise<TokenService> {
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
  const server = createServer((request, response) => answer(request, response, { signer, credentials, requests }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  return { realm: `http://127.0.0.1:${address.port}/token`, service, issuer, certificate, requests, stop }
}

interface Context {
  readonly signer: Signer
  readonly credentials: Credentials
  readonly requests: TokenService['requests']
}

function answer(request: IncomingMessage, response: ServerResponse, context: Context): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const scopes = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
  const { user, password } = context.credentials
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const authenticated = request.headers.authorization === expected
  context.requests.push({ scopes, authenticated })
  if (!authenticated) {
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"details":"incorrect username or password"}')
    return
  }
  const token = signToken(context.signer, user, scopes)
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(
    JSON.stringify({ token, access_token: token, expires_in: lifeSeconds, issued_at: new Date().toISOString() }),
  )
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
