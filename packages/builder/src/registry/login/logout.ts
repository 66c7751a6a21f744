import { isTsOciError } from '../../base/errors.ts'
import { loginFilePath } from '../auth-files.ts'
import { eraseWithHelper, listOfHelper, type HelperOptions } from '../credential-helper.ts'
import { createCredentialLookup, hostOfKey, serverKeys } from '../credentials.ts'
import type { RegistryHost } from '../host.ts'
import { resolveOptions, type RegistryClientOptions } from '../options.ts'
import { editAuthFile, type AuthJson } from './auth-file-edit.ts'
import { helperOf, objectOf, serverHost } from './login.ts'

export interface LogoutRequest extends RegistryClientOptions {
  /** As typed: a host, a URL, nothing for Docker Hub. */
  readonly server?: string | undefined
  /** Every registry of the file, and of its helpers. */
  readonly all?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface LogoutOutcome {
  /** Keys under which logins were removed, or would have stood. */
  readonly servers: readonly string[]
  /** Files in which there still is a login for the registry: whoever wrote them has to remove it. */
  readonly left: readonly string[]
}

/**
 * Removes the login of a registry from the file that a login goes to, and from the helper of it. One that is not there is no
 * error.
 * @throws OCI_CREDENTIALS
 */
export async function logoutFrom(request: LogoutRequest): Promise<LogoutOutcome> {
  const options = resolveOptions(request)
  const file = loginFilePath(options.environment, options.authFile)
  const how: HelperOptions = {
    environment: options.environment,
    signal: request.signal,
    timeoutMs: options.timeouts.helperMs,
  }
  if (request.all === true) return { servers: await removeAll(file, how), left: [] }
  const host = serverHost(request.server)
  await editAuthFile(file, (before) => without(before, host, how), request.signal)
  const { credential, notes } = await createCredentialLookup({ ...options, authFile: undefined })
    .find({ host, path: '' }, request.signal)
    .catch(() => ({ credential: undefined, notes: [] }))
  const isElsewhere = options.authFile === undefined && credential !== undefined
  return { servers: [serverKeys({ host })[0]!], left: isElsewhere ? notes : [] }
}

async function without(before: AuthJson, host: RegistryHost, how: HelperOptions): Promise<AuthJson | undefined> {
  const servers = serverKeys({ host })
  const auths = objectOf(before['auths'])
  const keys = Object.keys(auths).filter((key) => servers.includes(key) || hostOfKey(key) === host.name)
  const store = before['credsStore']
  const helper = helperOf(before, servers) ?? (typeof store === 'string' && store !== '' ? store : undefined)
  if (helper !== undefined) await eraseAny(helper, [...new Set([...keys, ...servers])], how)
  if (keys.length === 0) return undefined
  return { ...before, auths: Object.fromEntries(Object.entries(auths).filter(([key]) => !keys.includes(key))) }
}

/** A helper need not know each of a registry's names. @throws OCI_CREDENTIALS when none of them could be erased */
async function eraseAny(helper: string, servers: readonly string[], how: HelperOptions): Promise<void> {
  let firstError: unknown
  let done = 0
  for (const server of servers) {
    try {
      await eraseWithHelper(helper, server, how)
      done++
    } catch (error) {
      if (!isTsOciError(error)) throw error
      firstError ??= error
      // One that hangs would hang for each name.
      if (how.signal?.aborted === true || /within/.test(error.message)) break
    }
  }
  if (done === 0 && firstError !== undefined) throw firstError
}

async function removeAll(file: string, how: HelperOptions): Promise<readonly string[]> {
  const removed = new Set<string>()
  const edit = async (before: AuthJson): Promise<AuthJson> => {
    const own = Object.entries(objectOf(before['credHelpers']))
    for (const [server, helper] of own) {
      if (typeof helper !== 'string') continue
      await eraseWithHelper(helper, server, how)
      removed.add(server)
    }
    const store = before['credsStore']
    if (typeof store === 'string' && store !== '') {
      for (const server of await listOfHelper(store, how)) {
        await eraseWithHelper(store, server, how)
        removed.add(server)
      }
    }
    for (const key of Object.keys(objectOf(before['auths']))) removed.add(key)
    return { ...before, auths: {} }
  }
  await editAuthFile(file, edit, how.signal)
  if (removed.size === 0) return []
  return [...removed].toSorted()
}
