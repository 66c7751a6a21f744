import { setTimeout as delay } from 'node:timers/promises'
import { createServer } from 'node:net'
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { closeFd, getXattr, openRoot, setXattr } from '@ts-oci/runtime'
import { temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { CAPABILITY } from '../view/entry.ts'
import { compareTree, recordTree, splitLinks } from './compare-tree.ts'
import type { CompareTreeOutput } from './job-types.ts'

/** cap_net_raw+ep, as `setcap` writes it (linux/capability.h, VFS_CAP_REVISION_2). */
const NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex')

let root: TemporaryDirectory
const at = (name: string): string => root.join(name)

beforeEach(async () => {
  root = await temporaryDirectory()
  mkdirSync(at('d'))
  mkdirSync(at('e'))
  writeFileSync(at('d/file'), 'content')
  writeFileSync(at('e/other'), 'other')
  symlinkSync('file', at('d/link'))
})
afterEach(async () => root[Symbol.asyncDispose]())

/** What a step's work is told as: `path type`, a directory that took the place of another one with `opaque`. */
async function changesOf(
  work: () => unknown,
): Promise<{ readonly lines: string[]; readonly output: CompareTreeOutput }> {
  const before = recordTree({ root: root.path })
  // By more than a tick of the kernel's clock for files.
  await delay(25)
  await work()
  const output = compareTree({ root: root.path, before, records: 'none' })
  const lines = output.entries.map(({ path, type, isOpaque }) => `${path} ${type}${isOpaque === true ? ' opaque' : ''}`)
  return { lines, output }
}

function setCapability(): void {
  const directory = openRoot(at('d'))
  setXattr(directory, 'file', CAPABILITY, NET_RAW)
  closeFd(directory)
}

describe('the comparison of a tree with its record', () => {
  test('of a tree that nobody touched is empty', async () => {
    expect((await changesOf(() => readFileSync(at('d/file')))).lines).toEqual([])
  })

  test('tells a file whose bytes are others and whose size and time were set back', async () => {
    const { atime, mtime } = lstatSync(at('d/file'))
    const { lines } = await changesOf(() => {
      writeFileSync(at('d/file'), 'CONTENT')
      utimesSync(at('d/file'), atime, mtime)
    })
    expect(lines).toEqual(['d/file file'])
  })

  test('tells a mode, a link that leads elsewhere and a name that is gone', async () => {
    const { lines } = await changesOf(() => {
      chmodSync(at('e/other'), 0o600)
      unlinkSync(at('d/link'))
      symlinkSync('nowhere', at('d/link'))
      unlinkSync(at('d/file'))
    })
    expect(lines).toEqual(['d/file whiteout', 'd directory', 'd/link symlink', 'e/other file'])
  })

  test('tells a directory in place of another one, with all that is in it', async () => {
    const { lines } = await changesOf(() => {
      mkdirSync(at('new'))
      renameSync(at('d/file'), at('new/file'))
      rmSync(at('d'), { recursive: true })
      renameSync(at('new'), at('d'))
    })
    expect(lines).toEqual(['d/link whiteout', 'd directory opaque', 'd/file file'])
  })

  test('passes over sockets', async () => {
    const server = createServer()
    const { lines } = await changesOf(() => new Promise<void>((resolve) => server.listen(at('e/socket'), resolve)))
    server.close()
    expect(lines).toEqual(['e directory'])
  })

  testWith(['root'], 'tells a capability', async () => {
    const { output } = await changesOf(setCapability)
    expect(output.entries.map(({ path, xattrs }) => [path, xattrs?.get(CAPABILITY)])).toEqual([['d/file', NET_RAW]])
  })
})

describe('a file with several names', () => {
  test('is one file among the changes', async () => {
    const { output } = await changesOf(() => linkSync(at('d/file'), at('e/link')))
    const [one, two] = output.entries.filter(({ type }) => type === 'file')
    expect([one!.path, two!.path]).toEqual(['d/file', 'e/link'])
    expect(two!.linkKey).toBe(one!.linkKey)
    expect(output.linked).toEqual([['d/file', 'e/link']])
  })

  testWith(
    ['root'],
    'is several ones when it was split, with the same attributes, and directories keep their times',
    async () => {
      chmodSync(at('d/file'), 0o4755)
      setCapability()
      utimesSync(at('d/file'), 5, 6)
      linkSync(at('d/file'), at('e/link'))
      utimesSync(at('e'), 7, 8)
      splitLinks({ root: root.path, groups: [['d/file', 'e/link']] })
      const [first, second] = [lstatSync(at('d/file')), lstatSync(at('e/link'))]
      expect([first.nlink, second.nlink]).toEqual([1, 1])
      expect(second).toMatchObject({ mode: first.mode, size: first.size, mtimeMs: 6000 })
      expect(lstatSync(at('e')).mtimeMs).toBe(8000)
      const e = openRoot(at('e'))
      expect(getXattr(e, 'link', CAPABILITY)).toEqual(NET_RAW)
      closeFd(e)
    },
  )
})
