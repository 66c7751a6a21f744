import { defineSpec } from '../flag-types.ts'
import { format, noTrunc, progress, quiet, registry, store } from './shared.ts'

const ofSeveral = {
  name: 'platform',
  kind: 'text',
  value: 'OS/ARCH',
  summary: "of several images that one; default the machine's",
} as const

export const images = defineSpec({
  name: 'images',
  summary: 'list the images of the store',
  examples: [
    'tsbuild images',
    'tsbuild rmi $(tsbuild images -q --filter dangling=true)',
    "tsbuild images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
  ],
  args: [{ name: 'NAME[:TAG]', summary: 'only these; with * and ? a pattern', required: false }],
  flags: [
    { ...quiet, summary: 'print only ids' },
    format,
    noTrunc,
    { name: 'all', char: 'a', kind: 'boolean', summary: 'accepted without effect: there are no images between' },
    { name: 'digests', kind: 'boolean', summary: 'show digests' },
    { name: 'tree', kind: 'boolean', summary: 'show the platforms of each image, also those that are not here' },
    {
      name: 'filter',
      char: 'f',
      kind: 'texts',
      value: 'NAME=VALUE',
      summary:
        'only what fits: dangling=true (images without a name), label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=24h (or a time), reference=PATTERN (with * and ?)',
    },
    store,
  ],
})

export const history = defineSpec({
  name: 'history',
  summary: 'show how an image was made, newest step first',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true }],
  flags: [
    { ...quiet, summary: 'print only ids' },
    format,
    noTrunc,
    {
      name: 'human',
      char: 'H',
      kind: 'boolean',
      default: true,
      summary: 'sizes and dates for people; the default, --human=false for exact ones',
    },
    ofSeveral,
    store,
  ],
})

export const inspect = defineSpec({
  name: 'inspect',
  summary: 'show all facts about images as JSON',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true, repeated: true }],
  flags: [{ ...format, char: 'f' }, ofSeveral, store],
})

export const tag = defineSpec({
  name: 'tag',
  summary: 'give an image a further name',
  args: [
    { name: 'SOURCE', summary: 'name, id or digest', required: true },
    { name: 'TARGET', summary: 'new name', required: true },
  ],
  flags: [store],
})

export const rmi = defineSpec({
  name: 'rmi',
  summary: 'remove images from the store',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true, repeated: true }],
  flags: [
    { name: 'force', char: 'f', kind: 'boolean', summary: 'remove an id with several names, and what is not there' },
    {
      name: 'platform',
      kind: 'texts',
      value: 'OS/ARCH',
      summary: 'with --force: of several images only that one; the name stays',
    },
    store,
  ],
})

export const pull = defineSpec({
  name: 'pull',
  summary: 'fetch an image from a registry into the store',
  args: [{ name: 'NAME[:TAG|@DIGEST]', summary: 'image', required: true }],
  flags: [
    { ...quiet, summary: 'print only the name' },
    {
      name: 'platform',
      kind: 'text',
      value: 'OS/ARCH',
      summary: "platform; default the machine's. Other platforms of the same image that are there stay",
    },
    { name: 'all-platforms', kind: 'boolean', summary: 'all images of an index, and what else it names' },
    progress,
    ...registry,
    store,
  ],
})

export const push = defineSpec({
  name: 'push',
  summary: 'send an image of the store to a registry',
  examples: ['tsbuild push registry.example.com/my-app:1', 'tsbuild push my-app registry.example.com/my-app:1'],
  args: [
    { name: 'NAME[:TAG]', summary: 'image; of two names it may be an id', required: true },
    { name: 'TARGET', summary: 'name in the registry; default the name of the image', required: false },
  ],
  flags: [
    { name: 'all-tags', char: 'a', kind: 'boolean', summary: 'all tags that the store has of the name' },
    { ...quiet, summary: 'print only the name' },
    { ...ofSeveral, summary: 'of several images that one; default all of them, and their index' },
    { name: 'digestfile', kind: 'text', value: 'FILE', summary: 'write the digest to a file' },
    progress,
    ...registry,
    store,
  ],
})
