import { defineSpec } from '../flag-types.ts'
import { registry, store } from './shared.ts'

const list = { name: 'LIST', summary: 'name of the list', required: true } as const
const insecure = {
  name: 'insecure',
  kind: 'boolean',
  summary: 'the registries of all names may be spoken to over plain HTTP',
} as const
const platformFlags = [
  { name: 'arch', kind: 'text', value: 'ARCH', summary: 'architecture, instead of what the config says' },
  { name: 'os', kind: 'text', value: 'OS', summary: 'operating system' },
  { name: 'variant', kind: 'text', value: 'VARIANT', summary: 'variant of the architecture' },
  { name: 'os-version', kind: 'text', value: 'VERSION', summary: 'version of the operating system' },
  { name: 'os-features', kind: 'texts', value: 'FEATURE', summary: 'features of the operating system, with commas' },
  { name: 'annotation', kind: 'texts', value: 'KEY=VALUE', summary: 'annotation of the entry' },
] as const
const all = { name: 'all', kind: 'boolean', summary: 'of an index all its images' } as const

export const manifestCreate = defineSpec({
  name: 'manifest create',
  summary: 'begin a list of images of registries, kept here until it is pushed',
  examples: [
    'tsbuild manifest create registry.example.com/my-app:1 registry.example.com/my-app:amd64 registry.example.com/my-app:arm64',
  ],
  args: [list, { name: 'IMAGE', summary: 'image in a registry', required: false, repeated: true }],
  flags: [
    { name: 'amend', char: 'a', kind: 'boolean', summary: 'add to a list that is there' },
    all,
    insecure,
    ...registry,
    store,
  ],
})

export const manifestAdd = defineSpec({
  name: 'manifest add',
  summary: 'add images of registries to a list',
  args: [list, { name: 'IMAGE', summary: 'image in a registry', required: true, repeated: true }],
  flags: [all, ...platformFlags, insecure, ...registry, store],
})

export const manifestAnnotate = defineSpec({
  name: 'manifest annotate',
  summary: 'say of an image of a list what its config does not',
  args: [list, { name: 'IMAGE', summary: 'name as it was added, or digest', required: true }],
  flags: [...platformFlags, store],
})

export const manifestInspect = defineSpec({
  name: 'manifest inspect',
  summary: 'show a list, or what a registry has under a name',
  args: [{ name: 'NAME', summary: 'list that is made here, else image in a registry', required: true }],
  flags: [
    {
      name: 'verbose',
      char: 'v',
      kind: 'boolean',
      summary: 'of each image its name, digest, platform and manifest',
    },
    insecure,
    ...registry,
    store,
  ],
})

export const manifestPush = defineSpec({
  name: 'manifest push',
  summary: 'send a list and all that it names to a registry',
  args: [list, { name: 'TARGET', summary: 'name in the registry; default the name of the list', required: false }],
  flags: [
    { name: 'purge', char: 'p', kind: 'boolean', summary: 'forget the list afterwards' },
    { name: 'rm', kind: 'boolean', summary: 'as --purge' },
    { name: 'all', kind: 'boolean', default: true, summary: 'accepted: images go with their list' },
    insecure,
    ...registry,
    store,
  ],
})

export const manifestRemove = defineSpec({
  name: 'manifest remove',
  summary: 'take an image out of a list',
  args: [list, { name: 'DIGEST', summary: 'of the image', required: true }],
  flags: [store],
})

export const manifestRm = defineSpec({
  name: 'manifest rm',
  summary: 'forget lists',
  args: [{ ...list, repeated: true }],
  flags: [store],
})

export const manifestExists = defineSpec({
  name: 'manifest exists',
  summary: 'exit with 0 where there is such a list, else with 1',
  args: [list],
  flags: [store],
})
