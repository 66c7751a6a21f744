import { isTsOciError } from '../base/errors.ts'
import { type AuthFile, authFilePaths, noAuthFile, parseAuthFile, readAuthFile } from './auth-files.ts'
import { askCredentialHelper } from './credential-helper.ts'
import { registryHost, type Repository } from './host.ts'
import type { Credential, ResolvedOptions } from './options.ts'
import { createShared } from './shared.ts'

/** What the user's files know about a repository. */
export interface CredentialAnswer {
  readonly credential: Credential | undefined
  /** Where it came from, or what went wrong on the way (a missing helper): for hints. Holds no secret. */
  readonly notes: readonly string[]
}

export interface CredentialLookup {
  find(repository: Repository, signal: AbortSignal | undefined): Promise<CredentialAnswer>
}

/** An auth file as a variable: Docker's, and GitLab's for its jobs. */
const ENVIRONMENT_NAME = 'DOCKER_AUTH_CONFIG'

/** Names under which Docker Hub is written down, most common first. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'registry-1.docker.io']

/**
 * Looks credentials up once a repository: those of the options, then each auth file; in a file the registry's helper,
 * the general helper, then the entries, the longest prefix of `registry/path` first (containers-auth.json(5)).
 */
export function createCredentialLookup(options: ResolvedOptions): CredentialLookup {
  const answers = createShared<CredentialAnswer>()
  let files: Promise<AuthFile[]> | undefined
  return {
    find(repository, signal) {
      const given = options.credentials[repository.host.name]
      if (given !== undefined) return Promise.resolve({ credential: given, notes: ['given by an option'] })
      return answers.get(`${repository.host.name}/${repository.path}`, signal, async (shared) => {
        files ??= readAll(options)
        return findIn(await files, repository, options, shared)
      })
    },
  }
}

/** Of a file that the user named: one that is not there is a slip, and would else be a login that is not used. */
async function readAll({ environment, authFile }: ResolvedOptions): Promise<AuthFile[]> {
  const files: AuthFile[] = []
  const text = environment[ENVIRONMENT_NAME]
  // What stands in the environment goes before every file but one that the command line names, as with Docker.
  if (authFile === undefined && text !== undefined && text.trim() !== '')
    files.push(parseAuthFile(`$${ENVIRONMENT_NAME}`, text))
  for (const path of new Set(authFilePaths(environment, authFile))) {
    const file = await readAuthFile(path)
    if (file !== undefined) files.push(file)
    else if (authFile !== undefined) throw noAuthFile(path)
  }
  return files
}

async function findIn(
  files: readonly AuthFile[],
  repository: Repository,
  options: ResolvedOptions,
  signal: AbortSignal | undefined,
): Promise<CredentialAnswer> {
  const notes: string[] = []
  for (const file of files) {
    for (const helper of helpersFor(file, repository)) {
      const credential = await ask(helper, repository, { options, signal, notes })
      if (credential !== undefined) return { credential, notes: [`docker-credential-${helper}, named by ${file.path}`] }
    }
    const credential = entryFor(file, repository)
    if (credential !== undefined) return { credential, notes: [file.path] }
  }
  return { credential: undefined, notes }
}

function helpersFor(file: AuthFile, repository: Repository): string[] {
  const own = serverKeys(repository).flatMap((key) => file.credHelpers.get(key) ?? [])
  const alike = own.length > 0 ? [] : [...file.credHelpers].filter(([key]) => hostOfKey(key) === repository.host.name)
  const first = own[0] ?? alike[0]?.[1]
  return [...new Set([first, file.credsStore].filter((helper) => helper !== undefined))]
}

/** A helper that fails does not forbid to go on without: the registry may let anybody in. The note says so if it does not. */
async function ask(
  helper: string,
  repository: Repository,
  {
    options,
    signal,
    notes,
  }: { readonly options: ResolvedOptions; readonly signal: AbortSignal | undefined; readonly notes: string[] },
): Promise<Credential | undefined> {
  try {
    const { environment, timeouts } = options
    const how = { environment, signal, timeoutMs: timeouts.helperMs }
    return await askCredentialHelper(helper, serverKeys(repository)[0]!, how)
  } catch (error) {
    if (signal?.aborted === true || !isTsOciError(error)) throw error
    notes.push(error.message)
    return undefined
  }
}

/** Keys under which a registry is written down; the first is the one for new logins. */
export function serverKeys({ host }: Pick<Repository, 'host'>): readonly string[] {
  return host.name === 'docker.io' ? HUB_KEYS : [host.name]
}

function entryFor(file: AuthFile, repository: Repository): Credential | undefined {
  for (const prefix of pathPrefixes(repository)) {
    const credential = file.auths.get(prefix)
    if (credential !== undefined) return credential
  }
  for (const key of serverKeys(repository)) {
    const credential = file.auths.get(key)
    if (credential !== undefined) return credential
  }
  for (const [key, credential] of file.auths) if (hostOfKey(key) === repository.host.name) return credential
  return undefined
}

/**
 * The registry of a key that is more than its name: Docker wrote whole URLs, and people write `host/` and `host/v2/`.
 * `host/team` is a path of a registry and no name of all of it.
 */
export function hostOfKey(key: string): string | undefined {
  const match = /^(https?:\/\/)?([^/?#@\s]+)([^\s]*)$/i.exec(key)
  if (match === null) return undefined
  const [, scheme, host = '', path = ''] = match
  if (scheme === undefined && !/^\/*(?:v[12]\/*)?$/.test(path)) return undefined
  return registryHost(host, new Set()).name
}

/** `host/a/b/c`, `host/a/b`, `host/a`, `host`. */
function pathPrefixes(repository: Repository): string[] {
  const parts = repository.path.split('/')
  return [
    ...parts.map((_, index) => [repository.host.name, ...parts.slice(0, parts.length - index)].join('/')),
    repository.host.name,
  ]
}
