import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import { loginFilePath, readAuthFile } from '../auth-files.ts'
import { createConnections } from '../connections.ts'
import { storeWithHelper, type HelperOptions } from '../credential-helper.ts'
import { createCredentialLookup, serverKeys } from '../credentials.ts'
import { registryHost, type RegistryHost } from '../host.ts'
import { resolveOptions, type Credential, type RegistryClientOptions } from '../options.ts'
import { editAuthFile, type AuthJson } from './auth-file-edit.ts'
import { verifyLogin } from './verify.ts'

export interface LoginRequest extends RegistryClientOptions {
  /** As typed: a host, a URL, nothing for Docker Hub. */
  readonly server: string | undefined
  readonly username: string
  readonly password: string
  readonly signal?: AbortSignal | undefined
}

/** Where a login is kept now. */
export interface LoginOutcome {
  /** The key of the registry there. */
  readonly server: string
  readonly file: string
  /** The helper that keeps the secret; undefined: it stands in the file. */
  readonly helper: string | undefined
  /** The file holds a password, which anybody who reads it can use. */
  readonly isUnencrypted: boolean
}

/** The registry that a user means: `https://host/v2/` is `host`, nothing is Docker Hub. @throws OCI_REFERENCE_INVALID */
export function serverHost(server: string | undefined, insecure: ReadonlySet<string> = new Set()): RegistryHost {
  const [, host = ''] = /^(?:https?:\/\/)?([^/]*)/i.exec(server?.trim() || 'docker.io') ?? []
  if (!/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host) || !URL.canParse(`https://${host}`))
    throw new BuilderError('OCI_REFERENCE_INVALID', `${JSON.stringify(server)} is no address of a registry`, {
      hint: 'a registry is a host name, and a port up to 65535: registry.example:5000',
    })
  return registryHost(host, insecure)
}

/**
 * Asks a registry whether it lets the user in, and keeps the login where Docker and Podman find it, too: with the helper of
 * the file that a login goes to, else in that file.
 * @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_UNREACHABLE, OCI_CREDENTIALS
 */
export async function loginTo(request: LoginRequest): Promise<LoginOutcome> {
  const { username, password, signal } = request
  if (username.includes(':'))
    throw new BuilderError('OCI_CREDENTIALS', 'a user name with a colon cannot be told from its password', {
      hint: 'check the user name: HTTP sends USER:PASSWORD (RFC 7617)',
    })
  const options = resolveOptions(request)
  const host = serverHost(request.server, options.insecureRegistries)
  const kept = await verified(request, host, { kind: 'password', username, password }, signal)
  return await keep(request, host, kept)
}

/** Whether a login that is stored still works. @throws as {@link loginTo} */
export async function checkStoredLogin(
  request: Omit<LoginRequest, 'username' | 'password'>,
  credential: Credential,
): Promise<void> {
  const host = serverHost(request.server, resolveOptions(request).insecureRegistries)
  await verified(request, host, credential, request.signal)
}

/** What is stored for a registry. @throws OCI_CREDENTIALS */
export async function storedLogin(
  request: Omit<LoginRequest, 'username' | 'password'>,
): Promise<Credential | undefined> {
  const options = resolveOptions(request)
  // A login may make the file that was named.
  const { authFile } = options
  if (authFile !== undefined && (await readAuthFile(authFile)) === undefined) return undefined
  const host = serverHost(request.server)
  return (await createCredentialLookup(options).find({ host, path: '' }, request.signal)).credential
}

async function verified(
  options: RegistryClientOptions,
  host: RegistryHost,
  credential: Credential,
  signal: AbortSignal | undefined,
): Promise<Credential> {
  const connections = createConnections(options)
  try {
    return await verifyLogin(connections, host, credential, signal)
  } finally {
    await connections.transport.close()
  }
}

async function keep(request: LoginRequest, host: RegistryHost, credential: Credential): Promise<LoginOutcome> {
  const { environment, authFile, timeouts } = resolveOptions(request)
  const how: HelperOptions = { environment, signal: request.signal, timeoutMs: timeouts.helperMs }
  const file = loginFilePath(environment, authFile)
  const [server = ''] = serverKeys({ host })
  let helper: string | undefined
  const edit = async (before: AuthJson): Promise<AuthJson> => {
    const store = storeOf(before, environment)
    helper = helperOf(before, serverKeys({ host })) ?? store
    if (helper !== undefined) await storeWithHelper(helper, server, credential, how)
    // Beside a helper the entry says that there is a login, as Docker writes it.
    const entry = helper === undefined ? entryOf(credential) : {}
    return {
      ...before,
      auths: { ...objectOf(before['auths']), [server]: entry },
      ...(store === undefined ? {} : { credsStore: store }),
    }
  }
  await editAuthFile(file, edit, request.signal)
  return { server, file, helper, isUnencrypted: helper === undefined && credential.kind === 'password' }
}

function entryOf(credential: Credential): AuthJson {
  if (credential.kind === 'registryToken') return { registrytoken: credential.token }
  const { username } = credential
  const auth = (secret: string): string => Buffer.from(`${username}:${secret}`, 'utf8').toString('base64')
  return credential.kind === 'password'
    ? { auth: auth(credential.password) }
    : { auth: auth(''), identitytoken: credential.token }
}

/** The helper that an auth file names for one of the keys of a registry. */
export function helperOf(file: AuthJson, servers: readonly string[]): string | undefined {
  const helpers = objectOf(file['credHelpers'])
  return servers.map((server) => textOf(helpers[server])).find((helper) => helper !== undefined)
}

/**
 * The helper for all registries: the one that the file names; of a file that says nothing of logins, Docker's choice for
 * Linux, where it is installed.
 */
export function storeOf(
  file: AuthJson,
  { PATH = '' }: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const named = textOf(file['credsStore'])
  if (named !== undefined) return named
  const holdsLogins = ['auths', 'credHelpers'].some((name) => Object.keys(objectOf(file[name])).length > 0)
  if (holdsLogins) return undefined
  const usual = isInstalled('pass', PATH) ? 'pass' : 'secretservice'
  return isInstalled(`docker-credential-${usual}`, PATH) ? usual : undefined
}

function isInstalled(program: string, path: string): boolean {
  return path.split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}

export function objectOf(value: unknown): AuthJson {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as AuthJson) : {}
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
