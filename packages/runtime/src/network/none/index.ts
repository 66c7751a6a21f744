import { hostsFile } from '../hosts-file.ts'
import { hostResolvConf } from '../resolv-conf.ts'
import type { Network } from '../types.ts'

/** A network namespace of the step's own with nothing but the loopback device. */
export const noNetwork: Network = { name: 'none', stepFlags: 1, hosts: hostsFile, resolvConf: hostResolvConf }
