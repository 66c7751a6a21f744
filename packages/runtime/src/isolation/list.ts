import type { Isolation } from './types.ts'

/**
 * The strongest first: the order in which `auto` tries them. Plain data for flags, help and `info`; `load` gives a module
 * that exports what `Isolation` asks. A new one is a folder and a line here.
 */
export const isolations = [
  { name: 'namespace', summary: 'root only', load: (): Promise<Isolation> => import('./namespace/namespace.ts') },
  {
    name: 'rootless',
    summary: 'in a user namespace',
    load: (): Promise<Isolation> => import('./rootless/rootless.ts'),
  },
  {
    name: 'chroot',
    summary: 'root in a container without namespaces, which is the boundary',
    mountsNothing: true,
    load: (): Promise<Isolation> => import('./chroot/chroot.ts'),
  },
] as const

export type IsolationMode = (typeof isolations)[number]['name']
