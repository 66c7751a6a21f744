import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

// The long form, with 4 GiB and each op and output, is `npm run faults -- memory`.
const MIB = 1024 * 1024
const FILE_BYTES = 320 * MIB
const LIMIT_BYTES = 200 * MIB

let directory: TemporaryDirectory

beforeAll(async () => {
  directory = await temporaryDirectory()
  await writeContext(directory, {
    Dockerfile: 'FROM scratch\nCOPY big /big\n',
    'from.Dockerfile': 'FROM scratch AS a\nCOPY --link big /big\nFROM scratch\nCOPY --from=a /big /copy\n',
  })
  const fd = openSync(directory.join('context/big'), 'w')
  // Holes with a MiB of chance now and then: quick to compress, and no piece is like another.
  for (let at = 0; at < FILE_BYTES; at += 16 * MIB) writeSync(fd, randomBytes(MIB), 0, MIB, at)
  ftruncateSync(fd, FILE_BYTES)
  closeSync(fd)
  // Not `resourceUsage().maxRSS`: that is never less than what the process that forked us had, so the test's own size.
  writeFileSync(
    directory.join('watch.cjs'),
    "const fs = require('fs')\nprocess.on('exit', () => fs.writeFileSync(process.env.STATUS_AT_EXIT, fs.readFileSync('/proc/self/status')))",
  )
})
afterAll(async () => directory?.[Symbol.asyncDispose]())

/** The largest that the process of the command became. */
async function maxBytes(args: readonly string[]): Promise<number> {
  const report = directory.join('status-at-exit')
  const env = { NODE_OPTIONS: `--require=${directory.join('watch.cjs')}`, STATUS_AT_EXIT: report }
  const { status, stderr } = await tsbuild(directory, [...args, directory.join('context')], { env })
  expect({ status, stderr }).toMatchObject({ status: 0 })
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(report, 'utf8'))
  return Number(peak?.[1]) * 1024
}

describe('a build with a large file takes as much memory as one with a small one', () => {
  test.each([
    ['an OCI archive', ['-o', 'type=oci,dest=out']],
    ['files in a directory', ['-o', 'type=local,dest=out']],
    ['a tar', ['-o', 'type=tar,dest=out']],
    ['an image of a file that was copied from a stage', ['-f', 'context/from.Dockerfile', '-t', 'x']],
  ])('for %s', async (_, args) => {
    expect(await maxBytes(args)).toBeLessThan(LIMIT_BYTES)
    if (args[0] === '-o') expect(statSync(directory.join('out')).size).toBeGreaterThan(0)
    rmSync(directory.join('out'), { recursive: true, force: true })
  })
})
