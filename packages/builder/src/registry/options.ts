/** How registries are reached; every member has a default. */
export interface RegistryClientOptions {
  /** Hosts (`name` or `name:port`) that may be spoken to over plain HTTP or with a certificate that does not verify; loopback needs no entry. */
  readonly insecureRegistries?: readonly string[] | undefined
  /** The only auth file to read, instead of Docker's and Podman's. */
  readonly authFile?: string | undefined
  /** Credentials by registry name (`docker.io`, `localhost:5000`); they go before every file. */
  readonly credentials?: Readonly<Record<string, Credential>> | undefined
  /**
   * Mirrors, which are read from before the registry itself: `HOST[/PATH]` for Docker Hub, `REGISTRY=HOST[/PATH]` for
   * another; they go before those of every file.
   */
  readonly mirrors?: readonly string[] | undefined
  /** The only file of mirrors, rewrites and blocked registries, instead of those of the machine: containers-registries.conf(5), buildkitd.toml or daemon.json. */
  readonly registriesConf?: string | undefined
  /** Certificates of every registry, as in a folder of containers-certs.d(5). */
  readonly certDir?: string | undefined
  /** Certificates of one registry: `HOST=AUTHORITY` or `HOST=CERTIFICATE,KEY`, paths of PEM files. */
  readonly certificates?: readonly string[] | undefined
  /** Tries after the first one. */
  readonly retries?: number | undefined
  /** The first pause between tries, milliseconds; each further one is twice as long. */
  readonly retryDelayMs?: number | undefined
  readonly timeouts?: Partial<RegistryTimeouts> | undefined
  /** Blobs that are fetched at the same time; Docker's number is 3. */
  readonly maxDownloads?: number | undefined
  /** Blobs that are sent at the same time; Docker's number is 5. */
  readonly maxUploads?: number | undefined
  /** Where proxies, `HOME` and the places of auth files are looked up. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

export interface RegistryTimeouts {
  readonly connectMs: number
  /** From the request to the last byte of the response's headers. */
  readonly headersMs: number
  /** Between two pieces of a body. */
  readonly idleMs: number
  /** For a manifest, a token or an error's text as a whole. */
  readonly documentMs: number
  /** A blob that comes slower than `slowBytes` in `slowWindowMs` of waiting counts as cut off. */
  readonly slowWindowMs: number
  readonly slowBytes: number
  /** For one answer of a credential helper. */
  readonly helperMs: number
}

/** What proves who asks. `identityToken` is an OAuth2 refresh token, `registryToken` a bearer token as it is. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'identityToken'; readonly username: string; readonly token: string }
  | { readonly kind: 'registryToken'; readonly token: string }

export interface ResolvedOptions {
  readonly insecureRegistries: ReadonlySet<string>
  readonly authFile: string | undefined
  readonly credentials: Readonly<Record<string, Credential>>
  readonly mirrors: readonly string[]
  readonly registriesConf: string | undefined
  readonly certDir: string | undefined
  readonly certificates: readonly string[]
  readonly retries: number
  readonly retryDelayMs: number
  readonly timeouts: RegistryTimeouts
  readonly maxDownloads: number
  readonly maxUploads: number
  readonly environment: Readonly<Record<string, string | undefined>>
}

const defaultTimeouts: RegistryTimeouts = {
  connectMs: 10_000,
  headersMs: 60_000,
  idleMs: 30_000,
  documentMs: 60_000,
  slowWindowMs: 60_000,
  slowBytes: 60 * 1024,
  helperMs: 30_000,
}

/** Fills in what was left out. */
export function resolveOptions(options: RegistryClientOptions = {}): ResolvedOptions {
  return {
    insecureRegistries: new Set(options.insecureRegistries),
    authFile: options.authFile,
    credentials: options.credentials ?? {},
    mirrors: options.mirrors ?? [],
    registriesConf: options.registriesConf,
    certDir: options.certDir,
    certificates: options.certificates ?? [],
    retries: options.retries ?? 5,
    retryDelayMs: options.retryDelayMs ?? 250,
    timeouts: { ...defaultTimeouts, ...options.timeouts },
    maxDownloads: options.maxDownloads ?? 3,
    maxUploads: options.maxUploads ?? 5,
    environment: options.environment ?? process.env,
  }
}
