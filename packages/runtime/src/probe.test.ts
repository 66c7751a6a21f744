import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { commandAs, nodeFlags, publicPath, temporaryDirectory, testWith, type UserCommand } from '@ts-oci/testing'
import { isolations } from './isolation/list.ts'
import { probeMachine } from './probe.ts'
import type { MachineReport } from './probe.ts'

test('every isolation is in the report, with a reason and a remedy when it is not to be had', async () => {
  const report = await probeMachine()
  expect(report.isolations.map(({ mode }) => mode)).toEqual(isolations.map(({ name }) => name))
  for (const { available, reason, remedy, idMapping } of report.isolations) {
    expect(available ? idMapping : reason).toBeDefined()
    if (!available) expect(remedy).toBeDefined()
  }
  expect(report.chosen).toBe(report.isolations.find(({ available }) => available)?.mode)
})

test('the probe leaves nothing behind', async () => {
  await using directory = await temporaryDirectory()
  await probeMachine({ directory: directory.path })
  expect(readdirSync(directory.path)).toEqual([])
})

const module = fileURLToPath(new URL('./probe.ts', import.meta.url))

async function probeAs(user: Omit<UserCommand, 'directory'>): Promise<MachineReport> {
  await using directory = await temporaryDirectory()
  chmodSync(directory.path, 0o755)
  const script = `const { probeMachine } = await import(${JSON.stringify(publicPath(directory, module))}); console.log(JSON.stringify(await probeMachine()))`
  const [program = '', ...args] = commandAs({ ...user, directory }, [...nodeFlags, '--input-type=module', '-e', script])
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as MachineReport
}

const user = { uid: 12_345, gid: 12_345 }
const tools = ['root', 'setpriv', 'unshare']

testWith(tools, 'a user without subordinate ids has the rootless isolation with one id', async () => {
  const report = await probeAs(user)
  expect(report.isolations[0]).toMatchObject({ available: false, reason: 'this process is not root' })
  if (report.isolations[1]?.available) {
    expect(report.chosen).toBe('rootless')
    expect(report.isolations[1].idMapping).toBe('single')
    const ids = report.features.find(({ name }) => name.includes('other users'))
    expect(ids).toMatchObject({ available: false, remedy: expect.stringContaining('subordinate ids') })
  }
})

testWith([...tools, 'newuidmap'], 'a user with subordinate ids has them', async () => {
  const report = await probeAs({ uid: 65_534, gid: 65_534, hasSubordinateIds: true })
  if (report.isolations[1]?.available) expect(report.isolations[1].idMapping).toBe('subordinate')
})

testWith(tools, 'where part of /proc is covered, as in a container, it still works', async () => {
  const report = await probeAs({ ...user, before: 'mount -t tmpfs none /proc/fs' })
  expect(report.isolations[1]).toMatchObject({ available: true, idMapping: 'single' })
  expect(report.chosen).toBe('rootless')
})

testWith(tools, 'root without the right to administer is told so, and has a user namespace with many ids', async () => {
  const args = [
    '--bounding-set=-sys_admin',
    '--inh-caps=-all',
    '--',
    process.execPath,
    ...nodeFlags,
    '--input-type=module',
    '-e',
  ]
  const script = `const { probeMachine } = await import(${JSON.stringify(module)}); console.log(JSON.stringify(await probeMachine()))`
  const report = JSON.parse(execFileSync('setpriv', [...args, script], { encoding: 'utf8' })) as MachineReport
  expect(report.isolations[0]).toMatchObject({ available: false, reason: 'clone3: EPERM' })
  expect(report.isolations[1]).toMatchObject({ available: true, idMapping: 'shifted' })
})
