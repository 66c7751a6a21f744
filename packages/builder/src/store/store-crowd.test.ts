import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { problemsOfStore } from './store-check.test.helper.ts'
import { addImage } from './store-process.test.helper.ts'
import { openStore } from './store.ts'

// Longer: `npm run faults`.
const SCRIPT = fileURLToPath(new URL('./store-crowd.test.helper.ts', import.meta.url))
const COUNT = 16

test('of sixteen processes that build, tag, prune and remove at once none fails, and no name is lost', async () => {
  await using directory = await temporaryDirectory('ts-oci-crowd-')
  const root = directory.join('store')
  {
    await using store = await openStore({ root })
    addImage(store, 'counted')
  }
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const children = Array.from({ length: COUNT }, (_, number) =>
    spawn(process.execPath, [...flags, SCRIPT, root, String(number), '1', String(Date.now() + 30_000)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  const outputs = await Promise.all(
    children.map(async (child) => {
      const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
      return output + errors
    }),
  )
  expect(outputs).toEqual(Array.from({ length: COUNT }, () => 'rounds 1\n'))
  await using store = await openStore({ root })
  expect(new Set(store.images.find('counted')?.repoDigests).size).toBe(COUNT * 10)
  for (let number = 0; number < COUNT; number++) expect(store.images.find(`own${number}`)).toBeDefined()
  expect(await problemsOfStore(root)).toEqual([])
})
