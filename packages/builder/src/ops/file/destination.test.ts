import { afterAll, describe, expect, test } from '@jest/globals'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LayerEntry, ViewEntry } from '../../view/types.ts'
import { applyFileSpec } from './apply.ts'
import { BASE, CASES, CONTEXT } from './destination-cases.test.helper.ts'
import { parseLine } from './dockerfile-line.test.helper.ts'
import { formatListing, NOW_MS, viewOfListing } from './listing.test.helper.ts'

const temporary = mkdtempSync(join(tmpdir(), 'copy-test-'))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

const context = { nowMs: NOW_MS, temporaryDirectory: temporary, readFile }

async function readFile(entry: ViewEntry, maxBytes: number): Promise<Uint8Array> {
  if (entry.content?.kind !== 'inline') throw new Error(`no content: ${entry.path}`)
  return entry.content.bytes.subarray(0, maxBytes)
}

describe('COPY, ADD and WORKDIR leave what BuildKit leaves', () => {
  for (const block of CASES.trim().split(/\n(?=\S)/)) {
    const [line, ...expected] = block.split('\n').map((text) => text.trim())
    test(line!, async () => {
      const failure = expected[0]?.startsWith('! ') === true ? expected[0].slice(2) : undefined
      const outcome = run(line!)
      if (failure === undefined) expect(formatListing(await outcome)).toEqual(expected)
      else await expect(outcome).rejects.toMatchObject({ message: expect.stringContaining(failure) })
    })
  }
})

function run(line: string): Promise<LayerEntry[]> {
  const base = viewOfListing(BASE)
  return applyFileSpec(parseLine(line), [base, viewOfListing(CONTEXT)], context)
}
