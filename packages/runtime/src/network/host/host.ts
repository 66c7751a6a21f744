import { hostNetwork } from '../host-network.ts'
import type { Network } from '../types.ts'

export async function open(): Promise<Network> {
  return hostNetwork
}
