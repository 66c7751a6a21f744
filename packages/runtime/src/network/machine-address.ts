import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

/**
 * An address at which a step in a network of its own finds this machine: that of the way out, else any that is not loopback,
 * else loopback, which is the step's own.
 */
export function machineAddress(): string {
  const interfaces = networkInterfaces()
  const usable = [...(interfaces[defaultInterface() ?? ''] ?? []), ...Object.values(interfaces).flat()]
  return usable.find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1'
}

/** The interface of the default route: the line whose destination is zero. */
function defaultInterface(): string | undefined {
  try {
    const lines = readFileSync('/proc/net/route', 'latin1').split('\n')
    return lines.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000')?.[0]
  } catch {
    return undefined // where /proc does not show it
  }
}
