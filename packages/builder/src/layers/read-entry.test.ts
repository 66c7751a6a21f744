import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { makeEntry } from '../view/entry.ts'
import type { ContentSource } from '../view/types.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { readEntry } from './read-entry.ts'
import type { LayerReader } from './types.ts'

const SIZE = 300_000_000

function expectedDigest(): string {
  const hash = createHash('sha256')
    .update('begin')
    .update(Buffer.alloc(SIZE - 8))
  return hash.update('end').digest('hex')
}

test.each(['tree', 'range'] as const)('a large file of a %s is read in pieces that are bounded', async (kind) => {
  await using directory = await temporaryDirectory()
  const fd = openSync(directory.join('large'), 'w')
  writeSync(fd, 'begin')
  ftruncateSync(fd, SIZE)
  writeSync(fd, 'end', SIZE - 3)
  closeSync(fd)
  const content: ContentSource =
    kind === 'tree' ? { kind, root: directory.path, path: 'large' } : { kind, file: directory.join('large'), offset: 0 }
  const forms: Pick<LayerReader, 'resolveContents'> = { resolveContents: async (entries) => entries }
  const executor = (): Promise<never> => Promise.reject(new Error('the file is ours'))
  const jobs = createJobRunner({ executor, signal: new AbortController().signal })
  const runHere: typeof jobs = { ...jobs, run: (name, input) => jobs.run(name, input, false) }
  const hash = createHash('sha256')
  let largest = 0
  for await (const piece of readEntry(
    forms,
    runHere,
    makeEntry({ path: 'large', type: 'file', size: SIZE, content }),
  )) {
    hash.update(piece)
    largest = Math.max(largest, piece.length)
  }
  expect(hash.digest('hex')).toBe(expectedDigest())
  expect(largest).toBeLessThanOrEqual(1 << 20)
})
