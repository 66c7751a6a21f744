import { defineSpec } from '../flag-types.ts'
import { format, store } from './shared.ts'

export const prune = defineSpec({
  name: 'prune',
  summary: 'remove the build cache; images stay',
  args: [],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'also what was used within 48 hours' },
    { name: 'force', char: 'f', kind: 'boolean', summary: 'do not ask' },
    {
      name: 'filter',
      kind: 'texts',
      value: 'until=DURATION',
      summary: 'only what was not used for this long: until=24h',
    },
    store,
  ],
})

export const info = defineSpec({
  name: 'info',
  summary: 'show what this machine can do, what is missing and how to get it',
  args: [],
  flags: [{ ...format, char: 'f' }, store],
})
