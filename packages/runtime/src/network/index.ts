import { RuntimeError } from '../errors.ts'
import { hostNetwork } from './host/index.ts'
import { noNetwork } from './none/index.ts'
import type { Network } from './types.ts'

const networks: readonly Network[] = [hostNetwork, noNetwork]

/** The network of that name. Throws OCI_RUNTIME_UNSUPPORTED. */
export function networkOf(name: string): Network {
  const found = networks.find((network) => network.name === name)
  if (found) return found
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown network ${name}`, {
    hint: `known: ${networks.map((network) => network.name).join(', ')}`,
  })
}
