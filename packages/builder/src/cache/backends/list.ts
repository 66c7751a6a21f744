/* oxlint-disable typescript/consistent-type-imports -- a member is one entry: its type is read where it is named */
/**
 * Every place where caches lie as plain data; what it does is loaded when one is asked for. A new one is a folder and an entry
 * here: `load` a module that exports a `backend` (`CacheBackend` of `types.ts`).
 */
export const cacheBackends = [
  {
    name: 'registry',
    summary: 'in a repository of a registry',
    load: (): Promise<typeof import('./registry/registry.ts')> => import('./registry/registry.ts'),
  },
  {
    name: 'local',
    summary: 'in a directory',
    load: (): Promise<typeof import('./local/local.ts')> => import('./local/local.ts'),
  },
  {
    name: 'inline',
    summary: "in the image's own config (only written so: it is read as type=registry)",
    load: (): Promise<typeof import('./inline/inline.ts')> => import('./inline/inline.ts'),
  },
] as const

/** Names of the backends. */
export type CacheType = (typeof cacheBackends)[number]['name']
