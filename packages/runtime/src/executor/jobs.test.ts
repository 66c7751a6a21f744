import { lstatSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'

const jobs = new URL('../testing/handlers.test.helper.ts', import.meta.url).href

for (const who of [
  'root',
  'root-userns',
  'container',
  'container-userns',
  'subordinate',
  'single',
] as const satisfies readonly Who[]) {
  describeWith(requirementsOf[who], `a file job (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    test('gives back what its handler returns', async () => {
      const input = { text: 'ä', list: [1, null, true], nested: { deep: [{}] } }
      expect((await machine.job(jobs, 'echo', input)).output).toEqual(input)
    })

    const isShifted = ['root-userns', 'container', 'container-userns'].includes(who)
    test(`runs in one process, as ${isShifted ? 'an id that no step has' : 'root of the executor'}`, async () => {
      type Who = { readonly pid: number; readonly uid: number; readonly uidMap: readonly string[] }
      const first = (await machine.job(jobs, 'whoAmI', {})).output as Who
      const second = (await machine.job(jobs, 'whoAmI', {})).output as Who
      expect(second.pid).toBe(first.pid)
      // Where a step may see it in /proc: the first id behind those of steps, which is the caller's.
      expect(first.uid).toBe(isShifted ? Number(first.uidMap[2]) : 0)
      if (isShifted) expect(Number(first.uidMap[3])).toBe(first.uid)
      expect(first.pid).not.toBe(machine.child.pid)
    })
    test(
      who === 'single' ? 'cannot give files to another id' : "reads and writes files of the step's owners",
      async () => {
        const path = join(await machine.ownDirectory('granted/job-owners'), 'tree')
        const { output, error } = await machine.job(jobs, 'owners', { path })
        if (who === 'single') {
          expect(error?.code).toBe('EINVAL')
          return
        }
        expect(output).toEqual({ uid: 1234, gid: 4321, names: ['file'] })
        // Subordinate ids begin at 300000 for id 1, shifted ones at 100000 for id 0, or behind that of the container's root.
        const outside = { root: 0, subordinate: 299_999, 'container-userns': 100_001 }
        expect(lstatSync(join(path, 'file')).uid).toBe(1234 + (outside[who as keyof typeof outside] ?? 100_000))
        await machine.removeTrees([path, join(path, 'already/gone')])
        expect(existsSync(path)).toBe(false)
      },
    )

    test('an error of ours keeps code, message, hint and details', async () => {
      expect((await machine.job(jobs, 'typedError', {})).error).toEqual({
        code: 'OCI_TEST',
        message: 'a typed error',
        hint: 'do this',
        details: { count: 3 },
      })
    })

    test('an errno keeps its code, a bug its message', async () => {
      expect((await machine.job(jobs, 'fileError', {})).error).toMatchObject({ code: 'ENOENT' })
      expect((await machine.job(jobs, 'bug', {})).error).toMatchObject({ message: 'a bug' })
    })

    test('a job that does not exist is an error that names it', async () => {
      expect((await machine.job(jobs, 'constructor', {})).error?.message).toContain('there is no file job constructor')
    })

    test('outputs larger than a socket holds come whole', async () => {
      const { output } = await machine.job(jobs, 'large', { bytes: 1_000_000 })
      expect(Object.keys(output as object)).toHaveLength(1_000_000)
    })

    test('canceling reaches the handler', async () => {
      const { output, error } = await machine.job(jobs, 'untilCanceled', {}, 50)
      expect(error?.code ?? output).toBe('OCI_RUNTIME_CANCELED')
    })

    test('the end of its process is an error, and steps go on', async () => {
      expect((await machine.job(jobs, 'dies', {})).error).toMatchObject({ code: 'OCI_RUNTIME_EXECUTOR_DIED' })
      expect((await machine.job(jobs, 'echo', {})).error).toMatchObject({ code: 'OCI_RUNTIME_EXECUTOR_DIED' })
      expect((await machine.run({ run: 'echo on' })).stdout).toBe('on\n')
    })
  })
}
