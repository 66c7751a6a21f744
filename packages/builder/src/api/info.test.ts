import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { checkTool, nodeFlags, temporaryDirectory, testWith } from '@ts-oci/testing'
import type { MachineReport } from '../build/public-types.ts'
import { info } from './info.ts'

const module = fileURLToPath(new URL('./info.ts', import.meta.url))
const refuseCall = fileURLToPath(new URL('../../../runtime/src/testing/refuse-call.c', import.meta.url))
/** By architecture: asm/unistd.h. */
const pivotRoot = { x64: '155', arm64: '41' }[process.arch as string] ?? '155'

function infoBehind(command: readonly string[], store: string): MachineReport {
  const script = `const { info } = await import(${JSON.stringify(module)}); console.log(JSON.stringify(await info({ store: ${JSON.stringify(store)} })))`
  const all = [...command, process.execPath, ...nodeFlags, '--input-type=module', '-e', script]
  return JSON.parse(execFileSync(all[0]!, all.slice(1), { encoding: 'utf8' })) as MachineReport
}

test('what was tried on the disk of the store is gone afterwards, and a store that is not there is not made', async () => {
  await using directory = await temporaryDirectory()
  await info({ store: directory.join('none', 'yet') })
  expect(readdirSync(directory.path)).toEqual([])
})

testWith(
  ['root', 'cc'],
  'an isolation that starts, and whose steps the machine then refuses, is not called usable',
  async () => {
    await using directory = await temporaryDirectory()
    const program = directory.join('refuse-call')
    await checkTool('cc', ['-static', '-O1', '-o', program, refuseCall])
    const { isolations } = infoBehind([program, pivotRoot], directory.path)
    expect(isolations.find(({ mode }) => mode === 'rootless')).toMatchObject({
      isUsable: false,
      reason: expect.stringContaining('pivot_root: EPERM'),
    })
  },
)

testWith(['root', 'setpriv'], 'a store where this user cannot write is told with what helps', async () => {
  await using directory = await temporaryDirectory()
  const store = directory.join('store')
  mkdirSync(store, { mode: 0o755 })
  chmodSync(directory.path, 0o755)
  const others = ['setpriv', '--reuid=0', '--bounding-set=-all', '--inh-caps=-all', '--']
  execFileSync('chown', ['12345:12345', store])
  const { storeProblem } = infoBehind(others, store)
  expect(storeProblem?.reason).toBe(`${store} cannot be written: EACCES`)
  expect(storeProblem?.hint).toContain('--store')
})

test('a store that lies where a file is cannot be used', async () => {
  await using directory = await temporaryDirectory()
  writeFileSync(directory.join('file'), '')
  expect((await info({ store: directory.join('file') })).storeProblem?.reason).toContain('ENOTDIR')
})

testWith(
  ['root', 'unshare'],
  'the network of a step that names none is told, with what gives it one of its own',
  async () => {
    await using directory = await temporaryDirectory()
    const unforwarded = ['unshare', '--net', 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward; exec "$@"', 'sh']
    const { network } = infoBehind(unforwarded, directory.path)
    expect(network).toEqual({ kind: 'host', reason: expect.stringContaining('sysctl -w net.ipv4.ip_forward=1') })
  },
)
