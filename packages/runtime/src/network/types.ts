/** A network that a step can have. */
export interface Network {
  readonly name: 'host' | 'none'
  /** Bits of the step's flags (native/launcher/protocol.h). */
  readonly stepFlags: number
  /** The step's /etc/hosts. */
  hosts(hostname: string, extra: readonly (readonly [string, string])[]): string
  /** The step's /etc/resolv.conf. */
  resolvConf(): Uint8Array
}
