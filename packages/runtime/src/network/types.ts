/** A network that a step can have: what the module of a member exports. */
export interface Network {
  /** Bits of the step's flags (native/launcher/spec.h). */
  readonly stepFlags: number
  /** The step's /etc/hosts. */
  hosts(hostname: string, extra: readonly (readonly [string, string])[]): string
  /** The step's /etc/resolv.conf. */
  resolvConf(): Uint8Array
}

/** A line of the list: plain data for flags and help; the module is loaded with the first step that has this network. */
export interface NetworkEntry {
  readonly name: string
  /** What it is, in a few words for a help text. */
  readonly summary: string
  load(): Promise<Network>
}
