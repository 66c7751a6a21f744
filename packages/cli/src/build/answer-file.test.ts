import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { runTool, temporaryDirectory } from '@ts-oci/testing'
import { checkAnswerFile, removeStale, writeAnswer } from './answer-file.ts'

test('an answer appears whole: whoever has the old file open reads the old one', async () => {
  await using directory = await temporaryDirectory()
  const path = directory.join('id')
  writeFileSync(path, 'old', { mode: 0o600 })
  const before = statSync(path)
  await writeAnswer({ what: 'metadata', path }, 'new')
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(statSync(path).ino).not.toBe(before.ino)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(directory.path)).toEqual(['id'])
})

test('an answer through a link or a pipe leaves both what they are', async () => {
  await using directory = await temporaryDirectory()
  writeFileSync(directory.join('real'), 'old')
  symlinkSync('real', directory.join('link'))
  await writeAnswer({ what: 'metadata', path: directory.join('link') }, 'new')
  expect(lstatSync(directory.join('link')).isSymbolicLink()).toBe(true)
  expect(readFileSync(directory.join('real'), 'utf8')).toBe('new')
  await runTool('mkfifo', [directory.join('pipe')])
  const reading = runTool('cat', [directory.join('pipe')])
  await removeStale({ what: 'image ID', path: directory.join('pipe') })
  await writeAnswer({ what: 'image ID', path: directory.join('pipe') }, 'sha256:x')
  expect((await reading).stdout).toBe('sha256:x')
})

test('a full disk, a directory and a missing parent are said by name', async () => {
  await using directory = await temporaryDirectory()
  mkdirSync(directory.join('d'))
  const refused = (path: string, message: string): Promise<void> =>
    expect(checkAnswerFile({ what: 'metadata', path })).rejects.toMatchObject({ code: 'OCI_EXPORT_FAILED', message })
  await refused(directory.join('d'), `writing metadata file: open ${directory.join('d')}: is a directory`)
  await refused(
    directory.join('no/f'),
    `writing metadata file: open ${directory.join('no/f')}: no such file or directory`,
  )
  await expect(writeAnswer({ what: 'metadata', path: '/dev/full' }, 'x')).rejects.toMatchObject({
    code: 'OCI_EXPORT_FAILED',
    message: 'writing metadata file: open /dev/full: no space left on device',
  })
})
