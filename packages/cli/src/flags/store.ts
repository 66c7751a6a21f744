import { defineSpec } from '../flag-types.ts'
import { format, store } from './shared.ts'

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

export const info = defineSpec({
  name: 'info',
  summary: 'show what this machine can do, what is missing and how to get it',
  args: [],
  flags: [{ ...format, char: 'f' }, store],
})
