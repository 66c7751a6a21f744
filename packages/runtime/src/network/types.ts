/** A network as a step gets it. */
export interface Network {
  /** Which it is. */
  readonly kind: NetworkKind
  /** Bits of the step's flags (native/launcher/spec.h). */
  readonly stepFlags: number
  /** What a build has to say once: it is not what people expect. */
  readonly notice?: string
  /** The step's /etc/hosts. */
  hosts(hostname: string, extra: readonly (readonly [string, string])[]): string
  /** The step's /etc/resolv.conf. */
  resolvConf(): Uint8Array
}

/** `nat`: a namespace of the step's own, joined to the host's. `pasta`: one that the program pasta leads outside. */
export type NetworkKind = 'host' | 'none' | 'nat' | 'pasta'

/** What the executor can give to steps that name no network. */
export interface NetworkOffer {
  readonly kind: Exclude<NetworkKind, 'none'>
  /** Why it is the host's. */
  readonly reason: string
  /** Where a step reaches the machine's own name server, which may be on loopback. */
  readonly resolver?: string
}

/** What the module of a member exports. */
export interface NetworkModule {
  /** @param ask makes the executor find out, and prepare, what it can give; asked once for each executor */
  open(ask: () => Promise<NetworkOffer>): Promise<Network>
}

/** A line of the list: plain data for flags and help; the module is loaded with the first step that has this network. */
export interface NetworkEntry {
  readonly name: string
  /** What it is, in a few words for a help text. */
  readonly summary: string
  load(): Promise<NetworkModule>
}
