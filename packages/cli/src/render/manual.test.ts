import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { specs } from '../flags.ts'
import { renderManual } from './manual.ts'

test('docs/commands.md says what the table of flags says (npm run docs)', async () => {
  const written = await readFile(new URL('../../../../docs/commands.md', import.meta.url), 'utf8')
  expect(written).toBe(renderManual(specs))
})

test('no two flags of a command have one name or letter', () => {
  for (const spec of specs) {
    const names = spec.flags.flatMap((flag) => [
      `--${flag.name}`,
      ...(flag.char === undefined ? [] : [`-${flag.char}`]),
    ])
    expect(new Set(names).size).toBe(names.length)
  }
})
