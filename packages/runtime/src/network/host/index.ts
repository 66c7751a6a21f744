import { hostsFile } from '../hosts-file.ts'
import { hostResolvConf } from '../resolv-conf.ts'
import type { Network } from '../types.ts'

/** The host's network as it is. */
export const hostNetwork: Network = { name: 'host', stepFlags: 0, hosts: hostsFile, resolvConf: hostResolvConf }
