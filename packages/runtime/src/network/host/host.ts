/**
 * The host's network as it is: loopback services, abstract sockets. The launcher takes CAP_NET_RAW and
 * CAP_NET_BIND_SERVICE from a step that has no network of its own (native/launcher/identity.c).
 */
export const stepFlags = 0
export { hostsFile as hosts } from '../hosts-file.ts'
export { hostResolvConf as resolvConf } from '../resolv-conf.ts'
