import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { temporaryDirectory, testWith } from '@ts-oci/testing'
import { probeMachine } from './probe.ts'
import type { MachineReport } from './types.ts'

test('every isolation is in the report, with a reason and a remedy when it is not to be had', async () => {
  const report = await probeMachine()
  expect(report.isolations.map(({ mode }) => mode)).toEqual(['namespace', 'rootless'])
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
const script = `const { probeMachine } = await import(${JSON.stringify(module)}); console.log(JSON.stringify(await probeMachine()))`

function probeBehind(...command: readonly string[]): MachineReport {
  const [program = '', ...args] = command
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--conditions=@ts-oci/source',
    '--input-type=module',
    '-e',
    script,
  ]
  return JSON.parse(execFileSync(program, [...args, ...node], { encoding: 'utf8' })) as MachineReport
}

testWith(['root', 'setpriv'], 'a user without subordinate ids has the rootless isolation with one id', () => {
  const report = probeBehind('setpriv', '--reuid=12345', '--regid=12345', '--clear-groups')
  expect(report.isolations[0]).toMatchObject({ available: false, reason: 'this process is not root' })
  if (report.isolations[1]?.available) {
    expect(report).toMatchObject({ chosen: 'rootless', isolations: [{}, { idMapping: 'single' }] })
    expect(report.features.find(({ name }) => name.includes('other users'))).toMatchObject({
      available: false,
      remedy: expect.stringContaining('uidmap'),
    })
  }
})

testWith(['root', 'setpriv', 'unshare'], 'where part of /proc is covered, as in a container, it says so', () => {
  const become = 'mount -t tmpfs none /proc/fs && exec setpriv --reuid=12345 --regid=12345 --clear-groups "$0" "$@"'
  const report = probeBehind('unshare', '-m', 'sh', '-c', become)
  expect(report.isolations[1]).toMatchObject({
    available: false,
    reason: expect.stringContaining('mount proc: EPERM'),
    remedy: expect.stringContaining('systempaths=unconfined'),
  })
  expect(report.chosen).toBeUndefined()
})

testWith(['root', 'setpriv'], 'root without the right to administer falls back to rootless and says why', () => {
  const report = probeBehind('setpriv', '--bounding-set=-sys_admin', '--inh-caps=-all', '--')
  expect(report.isolations[0]).toMatchObject({ available: false, reason: 'clone3: EPERM' })
})
