import { RuntimeError } from '../errors.ts'
import { networks } from './list.ts'
import type { NetworkEntry, NetworkModule } from './types.ts'

/** The network of that name. Throws OCI_RUNTIME_UNSUPPORTED. */
export function loadNetwork(name: string): Promise<NetworkModule> {
  const known: readonly NetworkEntry[] = networks
  const found = known.find((network) => network.name === name)
  if (found) return found.load()
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown network ${name}`, {
    hint: `known: ${networks.map((network) => network.name).join(', ')}`,
  })
}
