import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { temporaryDirectory, testWith } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { makeEntry } from '../view/entry.ts'
import type { LayerJobs } from './job-types.ts'
import { handlers } from './jobs.ts'
import { createChainView } from '../view/view.ts'
import { diffUpper } from './upper.ts'

/** As the executor's child gets and gives them: cloned, so nothing but data passes. */
async function run<Name extends keyof LayerJobs>(
  name: Name,
  input: Parameters<LayerJobs[Name]>[0],
): Promise<Awaited<ReturnType<LayerJobs[Name]>>> {
  const handler = handlers[name] as (input: unknown) => Promise<unknown>
  return structuredClone(await handler(structuredClone(input))) as Awaited<ReturnType<LayerJobs[Name]>>
}

const isRoot = process.getuid?.() === 0
const how = { xattrs: isRoot ? 'trusted' : 'user', owners: isRoot ? 'keep' : 'record' } as const
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')

testWith(['root'], 'a layer passes through materialize, walkUpper, pack and extract and stays the same', async () => {
  await using directory = await temporaryDirectory()
  for (const name of ['made', 'unpacked']) mkdirSync(directory.join(name))
  const entries = [
    makeEntry({ path: 'd', type: 'directory', mode: 0o1777, uid: 5, gid: 6, mtimeSec: 100 }),
    makeEntry({
      path: 'd/f',
      type: 'file',
      mode: 0o755,
      size: 3,
      mtimeSec: 50,
      content: { kind: 'inline', bytes: Buffer.from('abc') },
      xattrs: new Map([['security.capability', CAPABILITY]]),
    }),
    makeEntry({
      path: 'd/h',
      type: 'hardlink',
      mode: 0o755,
      mtimeSec: 50,
      link: 'd/f',
      xattrs: new Map([['security.capability', CAPABILITY]]),
    }),
    makeEntry({ path: 'd/s', type: 'symlink', mode: 0o777, mtimeSec: 70, link: 'f' }),
  ]
  await run('materialize', { entries, destination: directory.join('made'), ...how })
  const upper = await run('walkUpper', { upper: directory.join('made'), xattrs: 'trusted', records: 'none' })
  const changes = await diffUpper({ upper, lower: createChainView([]), compare: async () => [] })
  const packed = await run('pack', { entries: changes, destination: directory.join('x.tar') })
  const extracted = await run('extract', {
    file: directory.join('x.tar'),
    compression: 'none',
    destination: directory.join('unpacked'),
    ...how,
    expectedDiffId: packed.diffId,
  })
  const again = await run('walkUpper', { upper: directory.join('unpacked'), xattrs: 'trusted', records: 'none' })
  const strip = ({ content: _content, linkKey: _key, ...rest }: (typeof upper.entries)[number]): unknown => rest
  expect(again.entries.map(strip)).toEqual(upper.entries.map(strip))
  expect(extracted.entries.map((entry) => `${entry.type} ${entry.path}`)).toEqual([
    'directory d',
    'file d/f',
    'hardlink d/h',
    'symlink d/s',
  ])
})

test('files are hashed, compared and read where they lie', async () => {
  await using directory = await temporaryDirectory()
  const large = Buffer.alloc(1_000_001, 'large')
  writeFileSync(directory.join('a'), large)
  writeFileSync(directory.join('b'), large)
  const source = (
    path: string,
  ): {
    readonly source: { readonly kind: 'tree'; readonly root: string; readonly path: string }
    readonly size: number
  } => ({ source: { kind: 'tree', root: directory.path, path }, size: large.length })
  expect(await run('hashFiles', { sources: [source('a')] })).toEqual([digestOf(large)])
  expect(await run('compareFiles', { pairs: [{ a: source('a'), b: source('b') }] })).toEqual([true])
  writeFileSync(directory.join('b'), Buffer.alloc(large.length, 'other'))
  expect(await run('compareFiles', { pairs: [{ a: source('a'), b: source('b') }] })).toEqual([false])
  expect(Buffer.from(await run('readFile', { ...source('a'), maxBytes: 2_000_000 })).equals(large)).toBe(true)
  await expect(run('readFile', { ...source('a'), maxBytes: 10 })).rejects.toMatchObject({ code: 'OCI_LAYER_INVALID' })
})

test('directories are made with exactly the mode that is asked for, once, and removed with all that they hold', async () => {
  await using directory = await temporaryDirectory()
  const path = directory.join('x')
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  expect(await run('makeDirectory', { path, mode: 0o777, ...owner })).toEqual({ created: true })
  expect(statSync(path).mode & 0o7777).toBe(0o777)
  expect(await run('makeDirectory', { path, mode: 0o700, ...owner })).toEqual({ created: false })
  mkdirSync(`${path}/locked`)
  writeFileSync(`${path}/locked/f`, readFileSync(import.meta.filename))
  await run('removeTree', { path })
  await run('removeTree', { path })
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
})
