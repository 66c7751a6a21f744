import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { archiveOf, oldDockerArchive, writeArchiveFile } from './archives.test.helper.ts'
import { exportFiles } from './export-files.ts'
import { load } from './load.ts'

let directory: TemporaryDirectory
let store: string

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
})
afterEach(async () => directory[Symbol.asyncDispose]())

test('the files of an image are those of its layers merged: what a later one deletes or hides is not among them', async () => {
  const lower = archiveOf([
    { name: 'etc/', flag: '5', mode: 0o755 },
    { name: 'etc/kept', data: 'kept', mode: 0o4755, uid: 7, gid: 8 },
    { name: 'etc/gone', data: 'gone' },
    { name: 'etc/changed', data: 'before' },
    { name: 'hidden/', flag: '5', mode: 0o755 },
    { name: 'hidden/old', data: 'old' },
    { name: 'hard', flag: '1', link: 'etc/kept', mode: 0o4755, uid: 7, gid: 8 },
    { name: 'soft', flag: '2', link: 'etc/kept' },
    { name: 'null', flag: '3', devMajor: 1, devMinor: 3 },
  ])
  const upper = archiveOf([
    { name: 'etc/.wh.gone' },
    { name: 'etc/changed', data: 'after' },
    { name: 'hidden/.wh..wh..opq' },
    { name: 'hidden/new', data: 'new' },
  ])
  const entries = oldDockerArchive([{ layers: [lower, upper], names: ['app:1'] }])
  await load({ store, input: writeArchiveFile(directory.join('in.tar'), entries) })
  const output = directory.join('out.tar')
  await exportFiles('app:1', { store, output })
  const listed = await checkTool('tar', ['--numeric-owner', '-tvf', output])
  const seen = listed
    .trim()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').replace(/ \d{4}-\d\d-\d\d \d\d:\d\d /, ' '))
  expect(seen).toEqual([
    expect.stringMatching(/^drwxr-xr-x 0\/0 0 etc\/$/),
    '-rw-r--r-- 0/0 5 etc/changed',
    '-rwsr-xr-x 7/8 4 etc/kept',
    'hrwsr-xr-x 7/8 0 hard link to etc/kept',
    expect.stringMatching(/^drwxr-xr-x 0\/0 0 hidden\/$/),
    '-rw-r--r-- 0/0 3 hidden/new',
    'crw-r--r-- 0/0 1,3 null',
    'lrwxrwxrwx 0/0 0 soft -> etc/kept',
  ])
  expect(await checkTool('tar', ['-xOf', output, 'etc/changed'])).toBe('after')
})

test('an image that is not there leaves no file', async () => {
  const output = directory.join('out.tar')
  await expect(exportFiles('none', { store, output })).rejects.toMatchObject({ code: 'OCI_IMAGE_NOT_FOUND' })
  expect(() => readFileSync(output)).toThrow(/ENOENT/)
})

test('an image without layers has no files', async () => {
  const entries = oldDockerArchive([{ layers: [], names: ['empty'] }])
  await load({ store, input: writeArchiveFile(directory.join('in.tar'), entries) })
  await exportFiles('empty', { store, output: directory.join('out.tar') })
  expect(await checkTool('tar', ['-tf', directory.join('out.tar')])).toBe('')
})
