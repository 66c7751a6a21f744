import type { Isolation } from './types.ts'

/** The strongest first: the order in which `auto` tries them. */
export const isolations = [
  { name: 'namespace', summary: 'root only', load: (): Promise<Isolation> => import('./namespace/namespace.ts') },
  {
    name: 'rootless',
    summary: 'in a user namespace',
    load: (): Promise<Isolation> => import('./rootless/rootless.ts'),
  },
] as const

export type IsolationMode = (typeof isolations)[number]['name']
