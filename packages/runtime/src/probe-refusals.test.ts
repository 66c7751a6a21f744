/** What the probe says where root is not whole. */
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { checkTool, describeWith, nodeFlags } from '@ts-oci/testing'
import type { MachineReport } from './probe.ts'

const program = `
const { probeMachine } = await import(${JSON.stringify(fileURLToPath(new URL('probe.ts', import.meta.url)))})
process.stdout.write(JSON.stringify(await probeMachine()))
`

async function probeIn(command: readonly string[]): Promise<MachineReport> {
  const words: readonly string[] = [process.execPath, ...nodeFlags, '--input-type=module', '-e', program]
  const [tool = '', ...args] = command
  return JSON.parse(await checkTool(tool, [...args, ...words])) as MachineReport
}

describeWith(['root', 'setpriv', 'unshare'], 'a probe', () => {
  test('tells root without capabilities how to get them back, for each isolation', async () => {
    const { isolations } = await probeIn(['setpriv', '--bounding-set=-all', '--inh-caps=-all'])
    for (const { mode, available, remedy } of isolations)
      expect([mode, available, remedy]).toEqual([mode, false, expect.stringContaining('--cap-drop')])
  })

  test('says of isolation chroot that a root without CAP_MKNOD cannot have it', async () => {
    const { isolations } = await probeIn(['setpriv', '--bounding-set=-mknod', '--inh-caps=-mknod'])
    expect(isolations.find(({ mode }) => mode === 'chroot')).toMatchObject({
      available: false,
      reason: 'the root of this container makes no devices (CAP_MKNOD)',
      remedy: expect.stringContaining('--cap-drop'),
    })
  })

  test('does not tell root of a user namespace with one id to give subordinate ids to root', async () => {
    const { features, isolations } = await probeIn(['unshare', '--user', '--map-root-user'])
    const { remedy } = features.find(({ name }) => name === 'other users in rootless steps')!
    expect(remedy).toContain('run it outside of that')
    expect(isolations.find(({ mode }) => mode === 'chroot')).toMatchObject({
      available: false,
      reason: 'this is root of a user namespace with one id',
      remedy: 'use --isolation=rootless',
    })
  })
})
