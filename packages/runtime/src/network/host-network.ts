import { hostsFile } from './hosts-file.ts'
import { hostResolvConf } from './resolv-conf.ts'
import type { Network } from './types.ts'

/**
 * The host's network as it is: loopback services, abstract sockets. The launcher takes CAP_NET_RAW and
 * CAP_NET_BIND_SERVICE from a step that has no network of its own (native/launcher/capabilities.c).
 */
export const hostNetwork: Network = { kind: 'host', stepFlags: 0, hosts: hostsFile, resolvConf: hostResolvConf }
