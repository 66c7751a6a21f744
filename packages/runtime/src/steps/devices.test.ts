/** Devices that a step is given: `StepSpec.devices`. */
import { existsSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, MachineOptions, TestStep } from '../testing/machine.test.helper.ts'
import { checkDevices } from './devices.ts'
import type { StepDevice } from './types.ts'

const unified = '/sys/fs/cgroup/unified'
const hasUnified = existsSync('/sys/fs/cgroup/cgroup.controllers') || existsSync(unified)
const hasVersion1 = existsSync('/sys/fs/cgroup/devices/devices.allow')

/** A device of the memory driver; `zero` is 5. */
function device(path: string, minor: number, more: Partial<StepDevice> = {}): StepDevice {
  return {
    path,
    hostPath: '/dev/null',
    type: 'c',
    major: 1,
    minor,
    fileMode: 0o666,
    uid: 0,
    gid: 0,
    access: { read: true, write: true },
    ...more,
  }
}

/** The log of the kernel: everybody may write it whom no cgroup keeps from it; who reads it needs a capability that no step has. */
const KMSG = 11
const opens = (path: string): string =>
  `(: < ${path}) 2>/dev/null && echo "${path} reads"; (: >> ${path}) 2>/dev/null && echo "${path} writes"`

const setUps: readonly { readonly name: string; readonly there: boolean; readonly options: MachineOptions }[] = [
  { name: 'a filter on a cgroup of version 2', there: hasUnified, options: {} },
  { name: 'a cgroup of version 1', there: hasVersion1, options: { covered: existsSync(unified) ? [unified] : [] } },
]

for (const { name, there, options } of setUps) {
  const title = `a device of a step behind ${name}`
  if (there) describeWith([...requirementsOf.root, 'unshare', 'mount'], title, () => filtered(options))
  else describe.skip(`${title} [skipped, missing: ${name}]`, () => filtered(options))
}

function filtered(options: MachineOptions): void {
  let machine: Machine
  beforeAll(async () => {
    machine = await startMachine('root', options)
  })
  afterAll(async () => machine[Symbol.asyncDispose]())

  const kmsg = device('/dev/log-of-kernel', KMSG)
  const run = async (step: TestStep): Promise<string> => {
    const { stdout, error } = await machine.run(step)
    return error?.message ?? stdout
  }

  test('opens, and for that step alone', async () => {
    const command = `mknod /n c 1 ${KMSG}; ${opens('/n')}`
    expect(await run({ run: `${command}; ${opens('/dev/log-of-kernel')}`, devices: [kmsg] })).toBe(
      '/n writes\n/dev/log-of-kernel writes\n',
    )
    expect(await run({ run: command })).toBe('')
  })

  test('what every step opens it opens too, and nothing else', async () => {
    const command = `mknod /zero c 1 5; mknod /disk b 7 0; mknod /mem c 1 1; ${opens('/zero')}; ${opens('/disk')}; ${opens('/mem')}`
    expect(await run({ run: command, devices: [kmsg] })).toBe('/zero reads\n/zero writes\n')
  })

  test('opens for what was asked', async () => {
    const access = { read: true, write: false }
    expect(await run({ run: opens('/dev/k'), devices: [device('/dev/k', KMSG, { access })] })).toBe('')
    const loop = device('/dev/l', 0, { type: 'b', major: 7, hostPath: '/dev/loop0' })
    expect(await run({ run: opens('/dev/l'), devices: [{ ...loop, access }] })).toBe('/dev/l reads\n')
    expect(await run({ run: opens('/dev/l'), devices: [{ ...loop, access: { read: false, write: true } }] })).toBe(
      '/dev/l writes\n',
    )
    expect(await run({ run: opens('/dev/l'), devices: [{ ...loop, access: { read: false, write: false } }] })).toBe('')
  })

  test('has the mode and the owner that were asked for, wherever it lies, and leaves no trace', async () => {
    const devices = [
      device('/dev/deep/down', 5, { fileMode: 0o640, uid: 7, gid: 8 }),
      device('/srv/new/zero', 5),
      device('/srv/fifo', 0, { type: 'p', major: 0, fileMode: 0o600 }),
    ]
    const { stdout, upper } = await machine.run({
      run: 'stat -c "%n %F %a %u %g %t:%T" /dev/deep/down /srv/new/zero; [ -p /srv/fifo ] && echo fifo; head -c2 /srv/new/zero | wc -c',
      devices,
    })
    expect(stdout).toBe(
      '/dev/deep/down character special file 640 7 8 1:5\n/srv/new/zero character special file 666 0 0 1:5\nfifo\n2\n',
    )
    expect(existsSync(`${upper}/srv`)).toBe(false)
  })

  test('a step that is limited as well has both', async () => {
    const step = { run: `${opens('/dev/log-of-kernel')}; mknod /mem c 1 1; ${opens('/mem')}`, devices: [kmsg] }
    expect(await run({ ...step, resources: { cpuShares: 512 } })).toMatch(
      /^\/dev\/log-of-kernel writes\n$|does not let the step be limited/,
    )
  })

  test('an insecure step is given the node, and opens all', async () => {
    expect(await run({ run: opens('/dev/log-of-kernel'), devices: [kmsg], security: 'insecure' })).toBe(
      '/dev/log-of-kernel reads\n/dev/log-of-kernel writes\n',
    )
  })
}

describeWith([...requirementsOf.root, 'unshare', 'mount'], 'a device of a step where no cgroup can be made', () => {
  test('opens at its path, and a node of its number nowhere else', async () => {
    await using machine = await startMachine('root', { covered: ['/sys/fs/cgroup'] })
    const run = `mknod /n c 1 ${KMSG}; ${opens('/n')}; ${opens('/dev/k')}`
    expect((await machine.run({ run, devices: [device('/dev/k', KMSG)] })).stdout).toBe('/dev/k writes\n')
  })
})

for (const who of ['root-userns', 'container', 'subordinate', 'single'] as const) {
  describeWith(requirementsOf[who], `a device of a step in a user namespace (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    test('is that of the machine, which nothing in the step changes', async () => {
      const before = statSync('/dev/zero')
      const { stdout, error } = await machine.run({
        run: `head -c3 /dev/mine | wc -c; ${opens('/dev/mine')}; chmod 600 /dev/mine 2>/dev/null; touch -d 2001-01-01 /dev/mine 2>/dev/null; true`,
        devices: [device('/dev/mine', 5, { hostPath: '/dev/zero' })],
      })
      expect([error, stdout]).toEqual([undefined, '3\n/dev/mine reads\n/dev/mine writes\n'])
      const { mode, uid, mtimeMs } = statSync('/dev/zero')
      expect([mode, uid, mtimeMs]).toEqual([before.mode, before.uid, before.mtimeMs])
    })

    test('is refused, with the reason, where it would not open', async () => {
      const { mode, uid, gid } = statSync('/dev/loop0')
      const devices = [device('/dev/l', 0, { type: 'b', major: 7, hostPath: '/dev/loop0' })]
      expect((await machine.run({ run: 'true', devices })).error).toMatchObject({
        code: 'OCI_RUNTIME_UNSUPPORTED',
        message: `test step: device /dev/loop0 does not open for steps: it is of user ${uid} and group ${gid}, with mode ${(mode & 0o777).toString(8)}`,
        hint: expect.stringContaining('isolation namespace'),
      })
    })

    test('is refused where something else lies at its path', async () => {
      const devices = [device('/dev/l', KMSG, { hostPath: '/dev/null' })]
      expect((await machine.run({ run: 'true', devices })).error?.message).toContain(
        'device /dev/null is not the device c 1:11',
      )
    })
  })
}

test('isolation chroot gives steps no devices', () => {
  expect(() =>
    checkDevices([device('/dev/x', 5)], { idMapping: { kind: 'identity' }, isolation: 'chroot' }, 's'),
  ).toThrow('isolation chroot gives steps no devices')
})
