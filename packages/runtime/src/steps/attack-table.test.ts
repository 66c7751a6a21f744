/** Every attack of attack-step.c in every kind of isolation: none may reach anything but what docs/isolation.md says. */
import { spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { landlockVersion } from '../landlock.ts'
import { compileHelper, startContainer } from '../testing/container.test.helper.ts'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { StepResult, TestStep } from '../testing/machine.test.helper.ts'

const jobs = new URL('../testing/handlers.test.helper.ts', import.meta.url).href

const onHostNetwork = ['an abstract socket']

/** What may be reached, where that is not nothing. */
const places = {
  root: onHostNetwork,
  'root-userns': onHostNetwork,
  subordinate: onHostNetwork,
  single: onHostNetwork,
  container: onHostNetwork,
  'container-userns': onHostNetwork,
  chroot: landlockVersion() >= 6 ? [] : onHostNetwork,
  // Its stand-in has no cgroup that says which devices open, as Docker gives every container one.
  'chroot in a container': [...(landlockVersion() >= 6 ? [] : onHostNetwork), 'a disk', 'control devices'],
} as const

for (const [who, allowed] of Object.entries(places)) {
  const needs = requirementsOf[who.startsWith('chroot') ? 'root' : (who as keyof typeof requirementsOf)]
  describeWith([...needs, 'cc', 'ipcmk'], `the attacks of a step (${who})`, () => {
    test('reach nothing', async () => {
      await using place = await startPlace(who)
      await using outside = await startOutside()
      const { stdout, stderr, error } = await place.run([outside.segment, outside.socket, place.own, outside.pid])
      expect([stderr, error]).toEqual(['', undefined])
      const outcomes = stdout.trim().split('\n')
      expect(outcomes.length).toBeGreaterThan(15)
      expect(
        outcomes.filter((line) => !allowed.some((name) => line.startsWith(name))).filter((line) => !line.endsWith('=')),
      ).toEqual([])
    })
  })
}

interface Place extends AsyncDisposable {
  /** Where what it works with lies: no step may read of it. */
  readonly own: string
  run(words: readonly string[]): Promise<StepResult>
}

async function startPlace(who: string): Promise<Place> {
  const step = (program: string, words: readonly string[]): TestStep => ({ run: [program, ...words] })
  if (who === 'chroot in a container') {
    const container = await startContainer()
    await compileHelper('attack-step', join(container.root, 'bin/attack-step'))
    return {
      own: container.own,
      run: (words) => container.run(step('/bin/attack-step', words)),
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    }
  }
  if (who === 'chroot') {
    const machine = await startMachine('root', { isolation: 'chroot' })
    await compileHelper('attack-step', join(machine.rootfs, 'bin/attack-step'))
    return {
      own: machine.directory.path,
      run: (words) => machine.run({ ...step('/bin/attack-step', words), directoryRoot: machine.rootfs }),
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    }
  }
  const machine = await startMachine(who as keyof typeof requirementsOf)
  const layer = await machine.layer('attack', { 'attack-step': '' })
  await compileHelper('attack-step', join(layer, 'attack-step'))
  chmodSync(join(layer, 'attack-step'), 0o755)
  return {
    own: machine.directory.path,
    run: async (words) => {
      // One process more that a step may see: the one for file jobs.
      expect((await machine.job(jobs, 'ownNumber', {})).error).toBeUndefined()
      return await machine.run({ ...step('/attack-step', words), layers: [layer] })
    },
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  }
}

/** A process, a segment of shared memory and an abstract socket that are no step's. */
async function startOutside(): Promise<
  AsyncDisposable & { readonly pid: string; readonly segment: string; readonly socket: string }
> {
  const child = spawn('sleep', ['300'], { stdio: 'ignore' })
  const socket = `ts-oci-attack-${process.pid}`
  const server = createServer().listen(`\0${socket}`)
  const segment = /\d+/.exec(await checkTool('ipcmk', ['-M', '4096', '-p', '0666']))![0]
  return {
    pid: String(child.pid),
    segment,
    socket,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      server.close()
      await checkTool('ipcrm', ['-m', segment])
    },
  }
}
