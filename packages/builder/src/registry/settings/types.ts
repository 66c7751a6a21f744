/** A file of settings, and those that add to it; of two files the first that says something about a registry decides. */
export interface SettingsFile {
  readonly path: string
  /** Drop-ins, in the order in which each overrides those before it; only of containers-registries.conf(5). */
  readonly dropIns: readonly string[]
  /** The user named it: it has to be there. */
  readonly isNamed: boolean
}

/** One place from which a repository is read. */
export interface PullSource {
  /** `host/path`. */
  readonly name: string
  /** Plain HTTP, or a certificate that does not verify, is allowed. */
  readonly isInsecure: boolean
}

/** What the settings say of one repository. */
export interface RegistryRule {
  /** The file that says it. */
  readonly file: string
  readonly isBlocked: boolean
  /** For who writes there. */
  readonly isInsecure: boolean
  /** Mirrors first, what the name itself leads to last. */
  readonly sources: readonly PullSource[]
}

/** See `loadSettings`. */
export interface RegistrySettings {
  /**
   * @param name `host/path`, as references have it
   * @param isDigest whether something is asked for by its digest, which no mirror can answer otherwise than another
   * @returns undefined where nothing is said of it
   */
  ruleFor(name: string, isDigest: boolean): RegistryRule | undefined
  /** Certificates that a file names for a host (`buildkitd.toml`). */
  certificatesOf(host: string): Certificates | undefined
}

/** Paths of PEM files. */
export interface Certificates {
  readonly authorities: readonly string[]
  readonly pairs: readonly { readonly certificate: string; readonly key: string }[]
}

/** What TLS needs for one host besides what the machine trusts; PEM. */
export interface HostCertificates {
  readonly authorities: readonly string[]
  /** The first is shown to a host that asks who comes. */
  readonly pairs: readonly { readonly cert: string; readonly key: string }[]
}

/** How a mirror is used: for all, or only for what is asked for by digest, or by tag. */
export type MirrorUse = 'all' | 'digest-only' | 'tag-only'

export interface Mirror {
  /** `host/path`. */
  readonly location: string
  readonly isInsecure: boolean
  readonly use: MirrorUse
}

/** What a file says of the names that begin with a prefix. */
export interface RegistryEntry {
  /** `host`, `host/path`, or `*.example.com`. */
  readonly prefix: string
  /** What the prefix is rewritten to; undefined: it stays. */
  readonly location: string | undefined
  readonly isInsecure: boolean
  readonly isBlocked: boolean
  readonly mirrors: readonly Mirror[]
  readonly file: string
}

/** What one file says, read. */
export interface SettingsGroup {
  readonly entries: readonly RegistryEntry[]
  readonly certificates: ReadonlyMap<string, Certificates>
}
