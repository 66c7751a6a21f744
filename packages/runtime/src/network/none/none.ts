import { hostsFile } from '../hosts-file.ts'
import { hostResolvConf } from '../resolv-conf.ts'
import type { Network } from '../types.ts'

const flagNone = 1

/** A network namespace of the step's own with nothing but the loopback device. */
export async function open(): Promise<Network> {
  return { kind: 'none', stepFlags: flagNone, hosts: hostsFile, resolvConf: hostResolvConf }
}
