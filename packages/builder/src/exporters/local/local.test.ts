import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, testWith } from '@ts-oci/testing'
import { entry, exportFixture, testImage, type ExportFixture, type TestImage } from '../memory-image.test.helper.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let image: TestImage
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, image, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

describe('type=local', () => {
  test('it writes the merged file system', async () => {
    const result = await exportTo({ type: 'local', dest: 'sub/out' })
    const out = directory.join('sub/out')
    expect(result.dest).toBe(out)
    expect(readFileSync(join(out, 'etc/näme'), 'utf8')).toBe('ü')
    expect(readlinkSync(join(out, 'etc/link'))).toBe('../bin/tool')
    expect(statSync(join(out, 'bin/tool')).ino).toBe(statSync(join(out, 'bin/twin')).ino)
    expect(statSync(join(out, 'bin/tool')).mode & 0o7777).toBe(0o4755)
    expect(statSync(join(out, 'etc')).mode & 0o7777).toBe(0o750)
    expect(statSync(join(out, 'etc')).mtimeMs).toBe(1_600_000_000_000)
    expect(readdirSync(directory.join('sub'))).toEqual(['out'])
  })

  testWith(['root'], 'as root the files keep their owners', async () => {
    await exportTo({ type: 'local', dest: 'out' })
    expect(statSync(directory.join('out/etc/näme'))).toMatchObject({ uid: 1000, gid: 2000 })
  })

  test('files that are there stay, those of the image replace what has their name', async () => {
    mkdirSync(directory.join('out/etc/new'), { recursive: true })
    writeFileSync(directory.join('out/etc/mine'), 'mine')
    writeFileSync(directory.join('out/bin'), 'a file')
    await exportTo({ type: 'local', dest: 'out' })
    expect(readFileSync(directory.join('out/etc/mine'), 'utf8')).toBe('mine')
    expect(readFileSync(directory.join('out/etc/new'), 'utf8')).toBe('new')
    expect(readFileSync(directory.join('out/bin/tool'), 'utf8')).toBe('#!/bin/sh\n')
    expect(statSync(directory.join('out/etc')).mtimeMs).toBe(1_600_000_000_000)
  })

  test('a symlink at the destination leads nowhere outside', async () => {
    mkdirSync(directory.join('outside'))
    mkdirSync(directory.join('out'))
    symlinkSync(directory.join('outside'), directory.join('out/etc'))
    await exportTo({ type: 'local', dest: 'out' })
    expect(readdirSync(directory.join('outside'))).toEqual([])
    expect(lstatSync(directory.join('out/etc')).isDirectory()).toBe(true)
  })

  test('a symlink of the image does not lead its files outside', async () => {
    await using other = await temporaryDirectory()
    const hostile = testImage({
      layers: [
        [entry('etc', { type: 'symlink', mode: 0o777, link: directory.path })],
        [entry('etc', { mode: 0o755 }), entry('etc/passwd', { text: 'evil' })],
      ],
      directory: other.path,
    })
    await exportTo({ type: 'local', dest: 'out' }, { from: hostile })
    expect(existsSync(directory.join('passwd'))).toBe(false)
    expect(readFileSync(directory.join('out/etc/passwd'), 'utf8')).toBe('evil')
  })

  test('a failure leaves nothing half-written', async () => {
    const failing: TestImage = {
      ...image,
      readFile: () => {
        throw new Error('gone')
      },
    }
    mkdirSync(directory.join('out'))
    await expect(exportTo({ type: 'local', dest: 'out' }, { from: failing })).rejects.toThrow('gone')
    expect(readdirSync(directory.join('out'))).toEqual([])
    expect(readdirSync(directory.path).filter((name) => !name.startsWith('layer-'))).toEqual(['out'])
  })
})
