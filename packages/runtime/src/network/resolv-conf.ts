import { readFileSync } from 'node:fs'

/** The host's own, whole: a step on the host's network reaches the host's loopback resolver as well. */
export function hostResolvConf(): Uint8Array {
  return read('/etc/resolv.conf') ?? new Uint8Array()
}

/** Where systemd-resolved, whose own resolver listens on loopback, writes what it asks itself. */
const BEHIND_SYSTEMD = '/run/systemd/resolve/resolv.conf'

/** As Docker, where the machine names no server that a step can reach. */
const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4']

/** For a network namespace with IPv4 alone: servers on loopback or with an address of IPv6 are no use there. */
export function reachableResolvConf(): Uint8Array {
  const own = Buffer.from(hostResolvConf()).toString('latin1')
  const text = isSystemdStub(own) ? Buffer.from(read(BEHIND_SYSTEMD) ?? own).toString('latin1') : own
  return Buffer.from(onlyReachable(text), 'latin1')
}

/** The text of a resolv.conf with what a step can reach. Exported for its tests. */
export function onlyReachable(text: string): string {
  const lines = text.split('\n').filter((line) => {
    const server = serverOf(line)
    return server === undefined || (/^\d+\.\d+\.\d+\.\d+$/.test(server) && !server.startsWith('127.'))
  })
  if (lines.some((line) => serverOf(line) !== undefined)) return lines.join('\n')
  const end = lines.at(-1) === '' ? lines.slice(0, -1) : lines
  return [...end, ...PUBLIC_SERVERS.map((server) => `nameserver ${server}`), ''].join('\n')
}

function isSystemdStub(text: string): boolean {
  return namesOnly(text, '127.0.0.53')
}

/**
 * Whether names are known to the server alone that Docker puts on the loopback of each container of a network that a user made: the
 * container's neighbours have names there, and what a network behind the container's would ask instead does not know them.
 */
export function asksServerOfContainer(text: string = Buffer.from(hostResolvConf()).toString('latin1')): boolean {
  return namesOnly(text, '127.0.0.11')
}

function namesOnly(text: string, server: string): boolean {
  const servers = text.split('\n').flatMap((line) => serverOf(line) ?? [])
  return servers.length > 0 && servers.every((one) => one === server)
}

function serverOf(line: string): string | undefined {
  return /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
}

function read(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
