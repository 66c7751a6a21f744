import { existsSync } from 'node:fs'
import { expect } from '@jest/globals'
import { debianBase, makeBusyboxBase } from './bases.ts'
import { checkTool } from './command.ts'
import { testWith } from './requirements.ts'
import { temporaryDirectory } from './temporary.ts'

testWith(['busybox', 'tar', 'umoci', 'root'], 'a busybox base unpacks with umoci and its shell runs', async () => {
  await using directory = await temporaryDirectory()
  const { layout } = await makeBusyboxBase(directory.join('layout'))
  await checkTool('umoci', ['unpack', '--image', `${layout}:latest`, directory.join('bundle')])
  const said = await checkTool('chroot', [directory.join('bundle', 'rootfs'), '/bin/sh', '-c', 'echo $((6 * 7))'])
  expect(said).toBe('42\n')
})

testWith(
  ['debootstrap', 'tar', 'root'],
  'a Debian base is made once and kept',
  async () => {
    const { layout } = await debianBase()
    expect(existsSync(`${layout}/index.json`)).toBe(true)
    expect(await debianBase()).toEqual({ layout })
  },
  600_000,
)
