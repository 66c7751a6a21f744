import { readFileSync } from 'node:fs'

/** The host's own, whole: a step on the host's network reaches the host's loopback resolver as well. */
export function hostResolvConf(): Uint8Array {
  return read('/etc/resolv.conf') ?? new Uint8Array()
}

/** Where systemd-resolved, whose own resolver listens on loopback, writes what it asks itself. */
const BEHIND_SYSTEMD = '/run/systemd/resolve/resolv.conf'

/** As Docker, where the machine names no server that a step can reach. */
const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4']

/**
 * For a network namespace with IPv4 alone: servers on loopback or with an address of IPv6 are no use there.
 * @param resolver an address at which the step reaches the machine's first server, one on loopback too
 */
export function reachableResolvConf(resolver?: string): Uint8Array {
  const own = Buffer.from(hostResolvConf()).toString('latin1')
  if (resolver !== undefined && serversOf(own)[0]?.startsWith('127.')) return withServers(own, [resolver])
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
  return Buffer.from(withServers(text, PUBLIC_SERVERS)).toString('latin1')
}

/** These instead of the text's own; its other lines stay. */
function withServers(text: string, servers: readonly string[]): Uint8Array {
  const lines = text.split('\n').filter((line) => serverOf(line) === undefined)
  const end = lines.at(-1) === '' ? lines.slice(0, -1) : lines
  return Buffer.from([...end, ...servers.map((server) => `nameserver ${server}`), ''].join('\n'), 'latin1')
}

function serversOf(text: string): string[] {
  return text.split('\n').flatMap((line) => serverOf(line) ?? [])
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
  const servers = serversOf(text)
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
