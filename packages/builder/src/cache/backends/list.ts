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
  {
    name: 'gha',
    summary: 'in the cache of GitHub Actions',
    load: (): Promise<typeof import('./gha/gha.ts')> => import('./gha/gha.ts'),
  },
  {
    name: 's3',
    summary: 'in a bucket of S3, or of what speaks its language',
    load: (): Promise<typeof import('./s3/s3.ts')> => import('./s3/s3.ts'),
  },
  {
    name: 'azblob',
    summary: 'in a container of Azure Blob Storage',
    load: (): Promise<typeof import('./azblob/azblob.ts')> => import('./azblob/azblob.ts'),
  },
] as const

/** Names of the backends. */
export type CacheType = (typeof cacheBackends)[number]['name']
