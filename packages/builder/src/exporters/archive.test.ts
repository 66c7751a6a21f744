import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { runTool, temporaryDirectory } from '@ts-oci/testing'
import type { Digest } from '../oci/digest.ts'
import { writeArchive } from './archive.ts'
import type { ImageBlob } from './compose.ts'
import { openByteSink } from './byte-sink.ts'

const bytes = Buffer.alloc(3_000_001, 'layer ')
const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest

async function* never(): AsyncIterable<Uint8Array> {
  yield Promise.reject(new Error('the file was to be copied'))
}

async function writeWith(blob: ImageBlob, archive: string): Promise<void> {
  const sink = await openByteSink(archive, process.stdout)
  try {
    await writeArchive(sink, [
      { name: 'blobs/sha256/b', blob },
      { name: 'index.json', bytes: Buffer.from('{}') },
    ])
    await sink.commit()
  } catch (error) {
    await sink.abort()
    throw error
  }
}

describe('a blob that lies as a file', () => {
  test.each([true, false])(
    'is copied whole, between headers that tar reads (known to be right: %s)',
    async (isVerified) => {
      await using directory = await temporaryDirectory()
      const path = directory.join('blob')
      writeFileSync(path, bytes)
      const archive = directory.join('a.tar')
      await writeWith({ digest, size: bytes.length, open: never, file: { path, isVerified } }, archive)
      const listed = await runTool('tar', ['-tvf', archive])
      expect(listed.stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
        expect.stringMatching(/^drwxr-xr-x 0\/0 0 1970-01-01 .* blobs\/$/),
        expect.stringMatching(/^drwxr-xr-x 0\/0 0 1970-01-01 .* blobs\/sha256\/$/),
        expect.stringMatching(/^-r--r--r-- 0\/0 3000001 1970-01-01 .* blobs\/sha256\/b$/),
        expect.stringMatching(/^-rw-r--r-- 0\/0 2 1970-01-01 .* index\.json$/),
        '',
      ])
      await runTool('tar', ['-xf', archive, '-C', directory.path])
      expect(readFileSync(directory.join('blobs/sha256/b')).equals(bytes)).toBe(true)
    },
  )

  test.each([
    ['has other bytes', Buffer.from(bytes).fill(1, 2_999_999)],
    ['is too short', bytes.subarray(1)],
    ['is too long', Buffer.concat([bytes, Buffer.from('x')])],
  ])('that %s fails the archive, and nothing stays', async (_, wrong) => {
    await using directory = await temporaryDirectory()
    const path = directory.join('blob')
    writeFileSync(path, wrong)
    const archive = directory.join('a.tar')
    const blob = { digest, size: bytes.length, open: never, file: { path, isVerified: false } }
    await expect(writeWith(blob, archive)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect(existsSync(archive)).toBe(false)
  })
})
