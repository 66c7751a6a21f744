/** A network namespace of the step's own with nothing but the loopback device. */
export const stepFlags = 1
export { hostsFile as hosts } from '../hosts-file.ts'
export { hostResolvConf as resolvConf } from '../resolv-conf.ts'
