import type { Network } from './types.ts'

/** Plain data for flags and help; `load` gives a module that exports what `Network` asks. A new one is a folder and a line here. */
export const networks = [
  { name: 'host', summary: "the host's", load: (): Promise<Network> => import('./host/host.ts') },
  { name: 'none', summary: 'loopback alone', load: (): Promise<Network> => import('./none/none.ts') },
] as const

export type NetworkName = (typeof networks)[number]['name']
