import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { OPERATIONS, prepareStore, problemsAfter } from './store-faults.test.helper.ts'

// Every operation at every call: `npm run faults`. Here some of them.
const SOME = Object.keys(OPERATIONS).filter((name) => ['tag', 'prune', 'adopt'].includes(name))

const SCRIPT = fileURLToPath(new URL('./store-faults.test.helper.ts', import.meta.url))

async function run(...words: readonly string[]): Promise<{ readonly output: string; readonly signal: unknown }> {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, SCRIPT, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { output, signal }
}

test.each(SOME)('a store is whole after a kill in the middle of %s, which can be done again', async (operation) => {
  await using directory = await temporaryDirectory('ts-oci-faults-')
  const prepared = directory.join('prepared')
  await prepareStore(prepared, operation)
  const signals = await Promise.all(
    (operation === 'adopt' ? [40, 42, 44, 46] : [29, 37]).map(async (number) => {
      const root = directory.join(String(number))
      cpSync(prepared, root, { recursive: true })
      const { signal } = await run('kill', operation, root, String(number))
      expect(await problemsAfter(operation, root)).toEqual([])
      return signal
    }),
  )
  expect(signals).toContain('SIGKILL')
})

test.each(SOME)(
  'a full disk in the middle of %s is told, and leaves the store as it was or is to be',
  async (operation) => {
    await using directory = await temporaryDirectory('ts-oci-faults-')
    const { output } = await run('full', operation, directory.path, '3', '11')
    expect(output).toMatch(/^calls \d\d\n$/)
  },
)
