import { readFileSync } from 'node:fs'

/** The host's own, whole: a step on the host's network reaches the host's loopback resolver as well. */
export function hostResolvConf(): Uint8Array {
  try {
    return readFileSync('/etc/resolv.conf')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array()
    throw error
  }
}
