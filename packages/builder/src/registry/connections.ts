import { BuilderError } from '../base/errors.ts'
import { type Authorizer, createAuthorizer } from './auth.ts'
import { parseChallenges } from './challenge.ts'
import { type RegistryHost, registryHost, type Repository, repositoryName } from './host.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { type RegistryClientOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { readDocument } from './response-errors.ts'
import { loadSettings } from './settings-files.ts'
import type { PullSource, RegistryRule, RegistrySettings } from './settings/types.ts'
import { createShared } from './shared.ts'
import { createTransport, type MakeTransport, type Transport } from './transport.ts'

/** What the requests of one client share: connections, tokens, schemes, what is known of targets. */
export interface Connections {
  readonly options: ResolvedOptions
  readonly transport: Transport
  readonly auth: Authorizer
  readonly downloads: Limiter
  readonly uploads: Limiter
  /** `host/path@digest` of blobs that a repository is known to hold. */
  readonly present: Set<string>
  /** Addresses of mirrors that gave no answer, or bytes of another digest: they are not asked again. */
  readonly silent: Set<string>
  repository(domain: string, path: string): Repository
  /** A repository as it is to be spoken to after what the user's settings say of it. @throws OCI_REGISTRY_DENIED (blocked), OCI_OPTION_INVALID */
  settled(repository: Repository): Promise<Repository>
  /** Where it is read from, mirrors first, itself last. @throws as {@link settled} */
  sources(repository: Repository, isDigest: boolean): Promise<readonly Repository[]>
  allowInsecure(domain: string): void
  /** `https://host` or `http://host`, found out once. */
  origin(host: RegistryHost, signal: AbortSignal | undefined): Promise<URL>
}

export function createConnections(
  given: RegistryClientOptions = {},
  makeTransport: MakeTransport = createTransport,
): Connections {
  const insecureRegistries = new Set(given.insecureRegistries)
  const options: ResolvedOptions = { ...resolveOptions(given), insecureRegistries }
  let settings: Promise<RegistrySettings | undefined> | undefined
  const getSettings = (): Promise<RegistrySettings | undefined> => (settings ??= loadSettings(options))
  const transport = makeTransport(options, getSettings)
  const auth = createAuthorizer(transport, options)
  const origins = createShared<URL>()
  const context = { transport, auth, options }
  return {
    options,
    transport,
    auth,
    downloads: createLimiter(options.maxDownloads),
    uploads: createLimiter(options.maxUploads),
    present: new Set(),
    silent: new Set(),
    repository: (domain, path) => ({ host: registryHost(domain, options.insecureRegistries), path }),
    settled: async (repository) => {
      const rule = await ruleFor(getSettings, repository, false)
      if (rule?.isInsecure !== true || repository.host.isInsecure) return repository
      return { ...repository, host: { ...repository.host, isInsecure: true }, isSettled: true }
    },
    sources: async (repository, isDigest) => {
      const rule = await ruleFor(getSettings, repository, isDigest)
      return rule?.sources.map((source) => repositoryOf(source, options.insecureRegistries)) ?? [repository]
    },
    allowInsecure(domain) {
      insecureRegistries.add(domain)
      // What was found out before was found out under the stricter rule.
      origins.forget(registryHost(domain, insecureRegistries).address)
    },
    origin: (host, signal) => {
      const key = host.isInsecure ? `${host.address} insecure` : host.address
      return origins.get(key, signal, (shared) => findOrigin(host, context, shared))
    },
  }
}

async function ruleFor(
  settings: () => Promise<RegistrySettings | undefined>,
  repository: Repository,
  isDigest: boolean,
): Promise<RegistryRule | undefined> {
  if (repository.isSettled) return undefined
  const name = repositoryName(repository)
  const rule = (await settings())?.ruleFor(name, isDigest)
  if (rule?.isBlocked === true)
    throw new BuilderError('OCI_REGISTRY_DENIED', `${name} is blocked by ${rule.file}`, {
      hint: 'whoever keeps that file does not want it used: take the image from elsewhere',
    })
  return rule
}

function repositoryOf({ name, isInsecure }: PullSource, insecure: ReadonlySet<string>): Repository {
  const slash = name.indexOf('/')
  const host = registryHost(name.slice(0, slash), insecure)
  return { host: isInsecure ? { ...host, isInsecure } : host, path: name.slice(slash + 1), isSettled: true }
}

interface Context {
  readonly transport: Transport
  readonly auth: Authorizer
  readonly options: ResolvedOptions
}

/**
 * A registry elsewhere is spoken to over HTTPS, without asking. On loopback plain HTTP is usual and tried first; where
 * the user allowed an insecure registry HTTPS is, so that a password goes in the clear only if there is no other way.
 */
async function findOrigin(host: RegistryHost, context: Context, signal: AbortSignal | undefined): Promise<URL> {
  if (!URL.canParse(`https://${host.address}`))
    throw new BuilderError('OCI_REFERENCE_INVALID', `${host.name} is no address of a registry`, {
      hint: 'a registry is a host name, and a port up to 65535',
    })
  const https = new URL(`https://${host.address}`)
  if (!host.isLoopback && !host.isInsecure) return https
  const http = new URL(`http://${host.address}`)
  const order = host.isLoopback ? [http, https] : [https, http]
  let first: unknown
  for (const origin of order) {
    try {
      if (await ping(origin, host, context, signal)) return origin
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof BuilderError)) throw error
      // It did answer, but not to our liking.
      if (error.details['errno'] === undefined) throw error
      // Nobody listens: the other scheme would find the same (ports differ only where none is given).
      const isPortGiven = /:\d+$/.test(host.address)
      if (error.details['errno'] === 'ENOTFOUND' || (error.details['errno'] === 'ECONNREFUSED' && isPortGiven))
        throw error
      // That a certificate does not verify says more than that plain HTTP found no ear.
      if (first === undefined || error.details['isCertificate'] === true) first = error
    }
  }
  throw (
    first ??
    new BuilderError(
      'OCI_REGISTRY_PROTOCOL',
      `${host.name} answers neither over HTTP nor over HTTPS as a registry does`,
      { hint: 'check the name and the port' },
    )
  )
}

/** Asks for `/v2/` and keeps the challenge. False when a TLS server says that this was plain HTTP. */
async function ping(
  origin: URL,
  host: RegistryHost,
  { transport, auth, options }: Context,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const url = new URL('/v2/', origin)
  const response = await transport.send({
    method: 'GET',
    url,
    headers: {},
    signal,
    registry: host.name,
    skipVerify: host.isInsecure,
  })
  const body = await readDocument(
    response,
    { maxBytes: 1024 * 1024, deadlineMs: options.timeouts.documentMs },
    `the answer of ${host.name}`,
  )
  const isPlainHttp = origin.protocol === 'http:'
  if (isPlainHttp && response.status === 400 && /https/i.test(body.toString('latin1'))) return false
  if (response.status === 401) auth.learn(host, parseChallenges(response.headers['www-authenticate']), isPlainHttp)
  return true
}
