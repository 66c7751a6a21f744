import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { makeDirectories } from './make-directories.ts'

test('directories are made down to the last, and found again', async () => {
  await using directory = await temporaryDirectory()
  mkdirSync(directory.join('a'))
  for (let time = 0; time < 2; time++) makeDirectories(directory.join('a/b/c'), 0o700)
  expect(statSync(directory.join('a/b/c')).mode & 0o777).toBe(0o700)
})

test('a file in the way is no directory', async () => {
  await using directory = await temporaryDirectory()
  writeFileSync(directory.join('file'), '')
  for (const path of ['file', 'file/below', 'file/below/that'])
    expect(() => makeDirectories(directory.join(path))).toThrow('ENOTDIR')
})

test('a file system that makes nothing is left at once', () => {
  expect(() => makeDirectories('/proc/none/below')).toThrow('ENOENT')
})

test('whatever the umask, who makes a directory can work in it', async () => {
  await using directory = await temporaryDirectory()
  const before = process.umask(0o777)
  try {
    makeDirectories(directory.join('a/b'), 0o700, 0o755)
    expect(['a', 'a/b'].map((name) => statSync(directory.join(name)).mode & 0o777)).toEqual([0o700, 0o700])
  } finally {
    process.umask(before)
  }
})
