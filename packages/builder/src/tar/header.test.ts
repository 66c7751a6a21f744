import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { makeEntry, type EntryFields } from '../view/entry.ts'
import { headerRoom, writeHeader } from './header.ts'
import { packLayer } from '../disk/pack.ts'
import { cleanPath } from '../view/paths.ts'
import { scanTarFile } from './scan-file.test.helper.ts'
import { createTarReader } from './tar-reader.ts'

/** COPY of set-uid files, hard links, long and non-ASCII names and a time before 1970, as BuildKit packed it. */
const COPY_LAYER =
  'H4sIAAAAAAACA+1byW7bMBDV2V/BU24xdxI1kFOLopc2QYAeetTmSLCWRJZbNz/VH+gtP1bKKpJYblwIEmkbnneRScGL+PjmzYxkH3vWQQy0lJ' +
  'ujQfe4eU0lJ5RLzrky81oo5SHpOcBqWfuV+coxLvL1xZ0IfBzgI+RfEw38u+L/Qxku4mqeZrE9/pUQb/LPidrmn1JtTiMC/FvHx9vrzygrQz9L' +
  'ymU9k+an42C1/BmU61nm1/Gynry/vvmGpgg3W2Vy+/ULqnJ0Wc3biQhdXKB8EaXVq3FdrsLk7xjHzYx5Cw7SAn9Pm1GY5GWEDMcI1/l9O1P+KB' +
  'Bv127WHmn7CfPmfFa0g6ws7vDT7+LpV1hGcTv3+DjxAAP0H1l2gN7xn5qXDOK/O/5jfGT8cwn5n1P+7yzzv8//CWFd/iXV4P8usAbvBP83+k8O' +
  'qn+yk/9rE/+pi+AE8d8scWY//9O6j/8rbeo/Np3iOcR/6/zf+OtPsR/F1XJKbCz4G7y/8E/F1l4w+idMemh9Sv5/oqAM5XWax1eXEjKBM/V/2z' +
  'HWaFrsr/94R/8mJCjI/10gSUH2567/TVP1uPo/SkD/xy3/W0lglhYLd/kfY6QT/5nQHPI/J/mfEKhh+96vk6v64AAzOpT+x5X8sPpfECZM/cdc' +
  '7DiI/y3/xcjAA/yfM6Ik+L8L5AOA++i/D/9CaUJPnH9rwhr38u099bO9NPv7/7TDv5bN/X8C/P8rsA6R7G78hxQI8r+d+u9hVPy3/qOd/h9nWk' +
  'P/3039x9+hTe33vBEeDgQo/Q6qf4vM9vZ/LjRl0P93gQAkAPrf8f+iebraWf+X8O79P6Y4Af93AaY79v/8cD348Vnpf1zJD6v/KVUS/v/jBCFI' +
  'AAAAAM4SfwB0ftgHAEAAAA=='

/** RUN that deletes, replaces a directory by a file, and gives a file to user 3000000; as BuildKit packed it. */
const RUN_LAYER =
  'H4sIAAAAAAACA+2YQW7CMBBFs84pcgFij+2xV+y77BVME4qlpqogtIjT40QVgoCKkOppUuZtbMULy3n6k4m9yJIjIw6xHyPDsZ8DagkatdY2Pn' +
  'fG2qzAjIDtpvXruOVvHPL0cBPBi4UYoX8nHfun8l+JkfmHOFXsn85/ndy/NeYe/8rG/Ev2T+S//FqVb0n9X/F+5v9sDtKBYv9U/p/97qn2Vb3e' +
  'lFIs/8A/qoH/WABi/ndT8j9RAIvXUM11/+YhB1U0bWjq+QzzuLQ9Lsk8Y/4hXf6Xife43f/pYf2XXP9pWAUO9qPnf79Pn/+f+3+47P8N55+CF4' +
  '7AQ7MI7+O7/+u+/3z/S+a/+/v/DGn93/v/b4HrPwVt80GT/xv+waAyzknz3f9r5PwzDMOk5AD1FldeACAAAA=='

const header = (fields: EntryFields): Buffer => {
  const entry = makeEntry(fields)
  const buffer = Buffer.alloc(headerRoom(entry))
  return buffer.subarray(0, writeHeader(buffer, 0, entry))
}

/** A field of a header block up to its first NUL. */
const field = (block: Buffer, offset: number, length: number): string =>
  block.toString('latin1', offset, offset + length).replace(/\0.*$/s, '')

function timesIn(tar: Buffer): ReadonlyMap<string, Pick<EntryFields, 'mtimeSec' | 'mtimeNsec'>> {
  const times = new Map<string, Pick<EntryFields, 'mtimeSec' | 'mtimeNsec'>>()
  const reader = createTarReader({
    entry: ({ name, mtimeSec, mtimeNsec }) => void times.set(cleanPath(name), { mtimeSec, mtimeNsec }),
  })
  reader.push(tar)
  return times
}

describe('the bytes of a layer', () => {
  for (const [name, base64] of [
    ['of a COPY', COPY_LAYER],
    ['of a RUN', RUN_LAYER],
  ] as const) {
    test(`${name} that BuildKit packed are the same when they are read and packed again`, async () => {
      await using directory = await temporaryDirectory()
      const tar = gunzipSync(Buffer.from(base64, 'base64'))
      writeFileSync(directory.join('theirs.tar'), tar)
      // A layer that is received has no time before 1970: what the header says is laid over it.
      const times = timesIn(tar)
      const entries = scanTarFile(directory.join('theirs.tar')).entries.map((entry) => ({
        ...entry,
        ...times.get(entry.path),
      }))
      packLayer(entries, directory.join('ours.tar'))
      expect(readFileSync(directory.join('ours.tar')).equals(tar)).toBe(true)
    })
  }

  test('no entries are 1024 zero bytes, with the diffID that every empty layer has', async () => {
    await using directory = await temporaryDirectory()
    const packed = packLayer([], directory.join('empty.tar'))
    // The well-known digest: sha256sum of 1024 zero bytes.
    expect(packed).toMatchObject({
      diffId: 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
      sizeBytes: 1024,
    })
    expect(readFileSync(directory.join('empty.tar')).equals(Buffer.alloc(1024))).toBe(true)
  })
})

describe('a header', () => {
  test('is ustar, octal and NUL-ended', () => {
    const block = header({
      path: 'bin/sh',
      type: 'file',
      mode: 0o4755,
      uid: 1,
      gid: 2,
      size: 10,
      mtimeSec: 1_700_000_000,
      mtimeNsec: 999,
    })
    expect(block.length).toBe(512)
    expect(block.toString('latin1', 0, 7)).toBe('bin/sh\0')
    expect(block.toString('latin1', 100, 148)).toBe('0004755\x000000001\x000000002\x0000000000012\x0014524770400\x00')
    expect(block.toString('latin1', 257, 265)).toBe('ustar\x0000')
    expect(block.toString('latin1', 329, 345)).toBe('0000000\x000000000\x00')
    // POSIX: the sum of all bytes with the field itself as spaces, six digits, NUL, space.
    let sum = 8 * 32
    for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte
    expect(block.toString('latin1', 148, 156)).toBe(`${sum.toString(8).padStart(6, '0')}\0 `)
  })

  test('of a whiteout is an empty file of that name with all numbers 0', () => {
    const block = header({ path: 'a/gone', type: 'whiteout', mode: 0o755, uid: 5, mtimeSec: 9 })
    expect(field(block, 0, 100)).toBe('a/.wh.gone')
    expect(block.toString('latin1', 100, 147)).toBe('0000000\x000000000\x000000000\x0000000000000\x0000000000000')
    expect(block[156]).toBe(48)
  })

  test('of a long name is split at a slash where ustar can', () => {
    const block = header({ path: `${'d'.repeat(90)}/${'f'.repeat(90)}`, type: 'file' })
    expect(block.length).toBe(512)
    expect([field(block, 345, 155), field(block, 0, 100)]).toEqual(['d'.repeat(90), 'f'.repeat(90)])
  })

  test('of a long component goes to PAX, its own name cut', () => {
    const name = 'f'.repeat(120)
    const block = header({ path: `d/${name}`, type: 'file' })
    expect(block.length).toBe(3 * 512)
    expect(block[156]).toBe('x'.charCodeAt(0))
    expect(field(block, 0, 100)).toBe(`d/PaxHeaders.0/${name}`.slice(0, 100))
    // "132" counts itself: 3 digits, a space, path=, 122 bytes and a newline.
    expect(field(block, 512, 512)).toBe(`132 path=d/${name}\n`)
    expect(field(block, 1024, 100)).toBe(`d/${name}`.slice(0, 100))
  })

  test('writes PAX records sorted, and attributes as bytes', () => {
    const value = Buffer.from([1, 0, 0, 2, 0xff, 0x80])
    const block = header({
      path: 'x',
      type: 'file',
      uid: 2_097_152,
      gid: 3_000_000,
      mtimeSec: -1,
      xattrs: new Map([['security.capability', value]]),
    })
    const size = Number.parseInt(field(block, 124, 12), 8)
    expect(block.toString('latin1', 512, 512 + size)).toBe(
      '43 SCHILY.xattr.security.capability=\x01\0\0\x02\xff\x80\n' +
        '15 gid=3000000\n' +
        '12 mtime=-1\n' +
        '15 uid=2097152\n',
    )
    expect(block.toString('latin1', 1024 + 108, 1024 + 147)).toBe(
      '0000000\x000000000\x0000000000000\x0000000000000'.slice(0, 39),
    )
  })

  testWith(['tar'], 'is what GNU tar reads', async () => {
    await using directory = await temporaryDirectory()
    const long = `${'n'.repeat(80)}/${'m'.repeat(140)}`
    packLayer(
      [
        { path: 'dir', type: 'directory' as const, mode: 0o1777, uid: 12, gid: 34, mtimeSec: 5 },
        {
          path: 'dir/f',
          type: 'file' as const,
          mode: 0o644,
          size: 3,
          mtimeSec: 1_000_000_000,
          content: { kind: 'inline' as const, bytes: Buffer.from('abc') },
        },
        { path: 'dir/h', type: 'hardlink' as const, mode: 0o644, link: 'dir/f', mtimeSec: 1_000_000_000 },
        { path: 'dir/s', type: 'symlink' as const, link: '../x', mtimeSec: 1 },
        { path: 'null', type: 'character' as const, mode: 0o666, devMajor: 1, devMinor: 3 },
        { path: long, type: 'file' as const, mode: 0o600, uid: 3_000_000, gid: 4_000_000 },
      ].map(makeEntry),
      directory.join('x.tar'),
    )
    const listing = await checkTool('tar', ['-tvf', directory.join('x.tar'), '--numeric-owner', '--full-time'], {
      env: { ...process.env, TZ: 'UTC' },
    })
    expect(
      listing
        .trim()
        .split('\n')
        .map((line) => line.replaceAll(/ +/g, ' ')),
    ).toEqual([
      'drwxrwxrwt 12/34 0 1970-01-01 00:00:05 dir/',
      '-rw-r--r-- 0/0 3 2001-09-09 01:46:40 dir/f',
      'hrw-r--r-- 0/0 0 2001-09-09 01:46:40 dir/h link to dir/f',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00:01 dir/s -> ../x',
      'crw-rw-rw- 0/0 1,3 1970-01-01 00:00:00 null',
      `-rw------- 3000000/4000000 0 1970-01-01 00:00:00 ${long}`,
    ])
    expect(await checkTool('tar', ['-xOf', directory.join('x.tar'), 'dir/f'])).toBe('abc')
  })
})
