import type { NetworkModule } from './types.ts'

/** Plain data for flags and help; `load` gives a module that exports what `NetworkModule` asks. A new one is a folder and a line here. */
export const networks = [
  {
    name: 'default',
    summary: "of the step's own, behind NAT, where that can be made, else host",
    load: (): Promise<NetworkModule> => import('./default/default.ts'),
  },
  { name: 'host', summary: "the host's", load: (): Promise<NetworkModule> => import('./host/host.ts') },
  { name: 'none', summary: 'loopback alone', load: (): Promise<NetworkModule> => import('./none/none.ts') },
] as const

export type NetworkName = (typeof networks)[number]['name']
