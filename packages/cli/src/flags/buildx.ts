import { defineSpec } from '../flag-types.ts'
import { format, noTrunc, store } from './shared.ts'

export const buildxLs = defineSpec({
  name: 'buildx ls',
  summary: 'list the builder instances: the one, which is this machine',
  args: [],
  flags: [format, noTrunc, store],
})

export const buildxInspect = defineSpec({
  name: 'buildx inspect',
  summary: 'show the builder instance, with the platforms for which RUN works',
  args: [{ name: 'NAME', summary: 'default, or nothing', required: false }],
  flags: [
    { name: 'bootstrap', kind: 'boolean', summary: 'accepted without effect: there is nothing to start' },
    { name: 'builder', kind: 'text', value: 'NAME', summary: 'default, or nothing' },
    { name: 'debug', char: 'D', kind: 'boolean', summary: 'accepted without effect: errors tell all they know anyway' },
    store,
  ],
})
