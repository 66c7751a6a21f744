import { chmodSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, TestStep } from '../testing/machine.test.helper.ts'

const source = fileURLToPath(new URL('../testing/as-the-kernel.c', import.meta.url))

// Expected values: what the kernel answers to the same program, whose ids are real there.
describeWith(
  [...requirementsOf.root, ...requirementsOf.single, 'cc'],
  'a step with one user id and a step of root',
  () => {
    const machines: { readonly machine: Machine; readonly layer: string }[] = []

    beforeAll(async () => {
      for (const who of ['root', 'single'] as const) {
        const machine = await startMachine(who)
        const layer = await machine.layer('program', {})
        machines.push({ machine, layer })
        const program = machine.directory.join('program')
        await checkTool('cc', ['-static', '-O1', '-w', '-pthread', '-o', program, source])
        copyFileSync(program, join(layer, 'program'))
        chmodSync(join(layer, 'program'), 0o755)
      }
    })
    afterAll(async () => {
      for (const { machine } of machines) await machine[Symbol.asyncDispose]()
    })

    async function outputs(step: TestStep): Promise<readonly string[]> {
      const results = []
      for (const { machine, layer } of machines) {
        const { stdout, stderr, error } = await machine.run({ ...step, layers: [layer] })
        expect({ stderr, error }).toEqual({ stderr: '', error: undefined })
        results.push(stdout)
      }
      return results
    }

    test('have the same ids after any calls that change them', async () => {
      const seed = process.env['SUPERVISOR_SEED'] ?? String(Date.now() % 100_000)
      const [real, emulated] = await outputs({ run: ['/program', 'ids', seed] })
      expect(real!.split('\n').length).toBe(201)
      const others = emulated!.split('\n').filter((line, at) => line !== real!.split('\n')[at])
      expect({ seed, others }).toEqual({ seed, others: [] })
    }, 60_000)

    test('make the same files, whoever shares a umask, a descriptor or a name, however long, however many come and go', async () => {
      const run = 'cd /tmp && mkdir w && cd w && exec /program files'
      const [real, emulated] = await outputs({ run: `chmod 1777 /tmp 2> /dev/null; ${run}`, uid: 1000, gid: 1001 })
      expect(real).toMatch(
        /after-clone 100666 1000:1001\n.*odd 100422 1000:1001\n345\npassed 100600 1000:1001, given away: 1\nwrong 0\n.*deep /s,
      )
      expect(emulated).toBe(real)
    }, 60_000)
  },
)
