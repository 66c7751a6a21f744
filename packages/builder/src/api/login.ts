import type { LoginOptions, LoginOutcome, LogoutOptions, LogoutOutcome, StoredLogin } from '../build/public-types.ts'

/**
 * Logs in to a registry: asks it, and keeps the login where Docker and Podman find it, too. The password goes to the
 * registry, its token service, and a credential helper's standard input, nowhere else.
 * @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_UNREACHABLE, OCI_REGISTRY_INSECURE, OCI_CREDENTIALS
 */
export async function login(options: LoginOptions): Promise<LoginOutcome> {
  const { loginTo } = await import('../registry/login/login.ts')
  return await loginTo({ ...options, server: options.server })
}

/** Who is logged in to a registry; undefined: nobody. @throws OCI_CREDENTIALS */
export async function findLogin(options: LogoutOptions = {}): Promise<StoredLogin | undefined> {
  const { checkStoredLogin, serverHost, storedLogin } = await import('../registry/login/login.ts')
  const request = { ...options, server: options.server }
  const credential = await storedLogin(request)
  if (credential === undefined) return undefined
  return {
    server: serverHost(options.server).name,
    username: credential.kind === 'registryToken' ? '' : credential.username,
    check: () => checkStoredLogin(request, credential),
  }
}

/** Removes the login of a registry, or of all, from the file and the helper that {@link login} writes to. @throws OCI_CREDENTIALS */
export async function logout(options: LogoutOptions = {}): Promise<LogoutOutcome> {
  const { logoutFrom } = await import('../registry/login/logout.ts')
  return await logoutFrom(options)
}
