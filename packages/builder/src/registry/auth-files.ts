import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import type { Credential } from './options.ts'

/** An auth file of Docker (`config.json`) or Podman (`auth.json`), as far as credentials go. */
export interface AuthFile {
  readonly path: string
  /** Key (registry, or `registry/namespace…`) → credential. */
  readonly auths: ReadonlyMap<string, Credential>
  /** Registry → name of its credential helper. */
  readonly credHelpers: ReadonlyMap<string, string>
  /** Name of the helper for everything else. */
  readonly credsStore: string | undefined
}

/** Far above what logins write. */
const MAX_FILE_BYTES = 4 << 20

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Paths of the auth files in the order in which they are asked: `$REGISTRY_AUTH_FILE`, Docker's, Podman's of the session,
 * Podman's lasting one (containers-auth.json(5), docker-login(1)).
 */
export function authFilePaths(environment: Environment, authFile: string | undefined): string[] {
  if (authFile !== undefined) return [authFile]
  const home = environment['HOME'] || accountHome()
  const uid = process.getuid?.() ?? 0
  const session = environment['XDG_RUNTIME_DIR']
  const config = environment['XDG_CONFIG_HOME'] || join(home, '.config')
  return [
    ...(environment['REGISTRY_AUTH_FILE'] ? [environment['REGISTRY_AUTH_FILE']] : []),
    join(environment['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
    // The other two are where Podman writes when no session directory is set.
    ...(session
      ? [join(session, 'containers/auth.json')]
      : [`/run/user/${uid}/containers/auth.json`, `/run/containers/${uid}/auth.json`]),
    join(config, 'containers/auth.json'),
  ]
}

/**
 * Where a login is written: the file that is read first of those which somebody named, else Docker's.
 * @param authFile given by an option
 */
export function loginFilePath(environment: Environment, authFile: string | undefined): string {
  return authFilePaths(environment, authFile)[0]!
}

/** A container's user may have no account: then nothing lies there. */
function accountHome(): string {
  try {
    return userInfo().homedir
  } catch {
    return '/nonexistent'
  }
}

/** Of a file that the user named. */
export function noAuthFile(path: string): BuilderError {
  return new BuilderError('OCI_CREDENTIALS', `there is no auth file ${path}`, {
    hint: 'name the file that tsbuild login, docker login, podman login or skopeo login wrote',
  })
}

/**
 * Reads one auth file; undefined when it is not there.
 * @throws OCI_CREDENTIALS when it is there and cannot be read or is no JSON.
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  const text = await readAuthText(path)
  return text === undefined ? undefined : parseAuthFile(path, text)
}

/** The text of an auth file; undefined when it is not there. @throws OCI_CREDENTIALS when it is there and cannot be read. */
export async function readAuthText(path: string): Promise<string | undefined> {
  try {
    // A pipe would keep us waiting, a device never end.
    const { size } = await stat(path).then((found) => (found.isFile() ? found : { size: Number.POSITIVE_INFINITY }))
    if (size > MAX_FILE_BYTES) throw Object.assign(new Error('no ordinary file'), { code: 'no ordinary file' })
    return await readFile(path, 'utf8')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new BuilderError('OCI_CREDENTIALS', `cannot read the auth file ${path} (${code})`, {
      hint: 'make it readable for this user, or name another one',
    })
  }
}

/** What an auth file holds, as it stands there. @throws OCI_CREDENTIALS; nothing of the text is quoted: it holds passwords. */
export function parseAuthJson(path: string, text: string): Record<string, unknown> {
  const root = parseObject(text)
  if (root !== undefined) return root
  throw new BuilderError('OCI_CREDENTIALS', `the auth file ${path} is no JSON object`, {
    hint: 'repair it, or remove it and log in again',
  })
}

/** @throws OCI_CREDENTIALS */
export function parseAuthFile(path: string, text: string): AuthFile {
  const root = parseAuthJson(path, text)
  const auths = new Map<string, Credential>()
  for (const [key, entry] of Object.entries(objectOf(root['auths']))) {
    const credential = credentialOf(objectOf(entry))
    if (credential !== undefined) auths.set(key, credential)
  }
  const credHelpers = new Map<string, string>()
  for (const [key, helper] of Object.entries(objectOf(root['credHelpers']))) {
    if (typeof helper === 'string' && helper !== '') credHelpers.set(key, helper)
  }
  const store = root['credsStore']
  return { path, auths, credHelpers, credsStore: typeof store === 'string' && store !== '' ? store : undefined }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    // The parser's own message quotes the text, and so a password.
    return undefined
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function credentialOf(entry: Record<string, unknown>): Credential | undefined {
  const text = (name: string): string => (typeof entry[name] === 'string' ? entry[name] : '')
  const [username, password] = decodeAuth(text('auth')) ?? [text('username'), text('password')]
  if (text('identitytoken') !== '') return { kind: 'identityToken', username, token: text('identitytoken') }
  if (text('registrytoken') !== '') return { kind: 'registryToken', token: text('registrytoken') }
  return username === '' && password === '' ? undefined : { kind: 'password', username, password }
}

/** `auth` is base64 of `user:password`; some writers pad it with zero bytes. */
function decodeAuth(auth: string): [string, string] | undefined {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : [text.slice(0, colon), text.slice(colon + 1)]
}
