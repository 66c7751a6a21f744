import { defineSpec } from '../flag-types.ts'
import { progress, quiet, registry, store } from './shared.ts'

const ids = { name: 'ID', summary: 'as ls prints it; default all', required: false, repeated: true } as const
const place = (summary: string) => ({ kind: 'text', value: 'type=TYPE,NAME=VALUE', summary }) as const
const quietly = { ...quiet, summary: 'print only the ids' } as const

export const cacheMountsLs = defineSpec({
  name: 'cache mounts ls',
  summary: 'list the cache mounts of the store, or of a cache elsewhere',
  examples: ['tsbuild cache mounts ls', 'tsbuild cache mounts ls --from type=registry,ref=user/app:cache'],
  args: [],
  flags: [
    { name: 'from', ...place('list those of this cache, as --cache-from names it') },
    quietly,
    ...registry,
    store,
  ],
})

export const cacheMountsExport = defineSpec({
  name: 'cache mounts export',
  summary: 'write cache mounts to a cache of their own',
  examples: ['tsbuild cache mounts export --to type=local,dest=mounts'],
  args: [ids],
  flags: [
    { name: 'to', ...place('where, as --cache-to names it; what has the name there is replaced') },
    progress,
    quietly,
    ...registry,
    store,
  ],
})

export const cacheMountsImport = defineSpec({
  name: 'cache mounts import',
  summary: 'bring cache mounts of a cache into the store; what is here stays as it is',
  examples: ['tsbuild cache mounts import --from type=local,src=mounts'],
  args: [ids],
  flags: [{ name: 'from', ...place('whence, as --cache-from names it') }, progress, quietly, ...registry, store],
})

export const cacheMountsRm = defineSpec({
  name: 'cache mounts rm',
  summary: 'empty cache mounts',
  args: [{ name: 'ID', summary: 'as ls prints it', required: true, repeated: true }],
  flags: [store],
})
