import { defineSpec } from '../flag-types.ts'
import { format, noTrunc, store } from './shared.ts'

const filter = {
  name: 'filter',
  kind: 'texts',
  value: 'FILTER',
  summary:
    'only what fits: until=24h (not used for so long), id=PART, type=TYPE, description=TEXT, parents=IDS (also != and ~=, a regular expression), shared, private, mutable, immutable, inuse',
} as const

export const du = defineSpec({
  name: 'du',
  summary: 'show what the build cache takes of the disk',
  examples: ['tsbuild du', 'tsbuild du --filter type=exec.cachemount', "tsbuild du --format '{{.ID}} {{.Size}}'"],
  args: [],
  flags: [
    filter,
    { ...format, summary: 'Go template, "table TEMPLATE", json, or pretty' },
    { name: 'verbose', kind: 'boolean', summary: 'all there is to say of each record: --format=pretty' },
    store,
  ],
})

export const prune = defineSpec({
  name: 'prune',
  summary: 'remove the build cache; images stay',
  examples: [
    'tsbuild prune -f',
    'tsbuild prune -f --filter until=48h',
    'tsbuild prune -f --max-used-space 10GB --min-free-space 20GB',
  ],
  args: [],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'also the steps of images that are in the store' },
    { name: 'force', char: 'f', kind: 'boolean', summary: 'do not ask' },
    filter,
    {
      name: 'keep-duration',
      kind: 'text',
      value: 'DURATION',
      summary: 'keep what was used within it: --filter until=DURATION',
    },
    { name: 'reserved-space', kind: 'text', value: 'SIZE', summary: 'so much of the cache always stays' },
    {
      name: 'max-used-space',
      kind: 'text',
      value: 'SIZE',
      summary: 'so much of the cache may stay; what was used least goes first',
    },
    { name: 'min-free-space', kind: 'text', value: 'SIZE', summary: 'so much of the disk is to be free' },
    { name: 'keep-storage', kind: 'text', value: 'SIZE', summary: 'former name of --reserved-space' },
    { name: 'verbose', kind: 'boolean', summary: 'all there is to say of what went' },
    { ...format, summary: 'Go template, "table TEMPLATE", json, or pretty: of what went' },
    store,
  ],
})

const force = { name: 'force', char: 'f', kind: 'boolean', summary: 'do not ask' } as const
const imageFilters = {
  name: 'filter',
  kind: 'texts',
  value: 'FILTER',
  summary: 'only what fits: until=24h (or a time), label=NAME[=VALUE], label!=NAME[=VALUE]',
} as const

export const imagePrune = defineSpec({
  name: 'image prune',
  summary: 'remove images without a name, and the layers that are left over then',
  examples: ['tsbuild image prune -f', 'tsbuild image prune -af --filter until=240h'],
  args: [],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'all images, not only those without a name' },
    force,
    imageFilters,
    store,
  ],
})

export const systemPrune = defineSpec({
  name: 'system prune',
  summary: 'remove images without a name, and the build cache',
  args: [],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'all images, and all of the cache' },
    force,
    {
      ...imageFilters,
      summary: 'of images: until=24h (or a time), label=NAME[=VALUE], label!=…; of the cache until=DURATION',
    },
    store,
  ],
})

export const systemDf = defineSpec({
  name: 'system df',
  summary: 'show what images and the build cache take of the disk',
  args: [],
  flags: [
    format,
    { name: 'verbose', char: 'v', kind: 'boolean', summary: 'each image and each record of the cache' },
    store,
  ],
})

export const search = defineSpec({
  name: 'search',
  summary: 'find images of the store by name, tag or label',
  description: 'What registries have is not searched: skopeo list-tags docker://NAME lists the tags of a name.',
  examples: ['tsbuild search app', 'tsbuild search --limit 5 --filter label=org.example.team=web app'],
  args: [{ name: 'TERM', summary: 'part of a name, a tag, or of the name or value of a label', required: true }],
  flags: [
    {
      name: 'filter',
      char: 'f',
      kind: 'texts',
      value: 'NAME=VALUE',
      summary: 'only what fits: as images --filter has them',
    },
    format,
    { name: 'limit', kind: 'text', value: 'N', isNumber: true, summary: 'so many at most; default 25' },
    noTrunc,
    store,
  ],
})

export const storeCheck = defineSpec({
  name: 'store check',
  summary: 'read the whole store, and say what of it is damaged',
  description:
    'Every blob is read against its digest, every layer in each of its forms against the others, every image and every record of the cache against both. Exit status 1 where something is damaged and was not repaired.',
  args: [],
  flags: [
    {
      name: 'repair',
      kind: 'boolean',
      summary: 'drop what is damaged, and the records and images that cannot be without it',
    },
    { ...format, summary: 'Go template, "table TEMPLATE", or json' },
    store,
  ],
})

export const info = defineSpec({
  name: 'info',
  summary: 'show what this machine can do, what is missing and how to get it',
  args: [],
  flags: [{ ...format, char: 'f' }, store],
})
