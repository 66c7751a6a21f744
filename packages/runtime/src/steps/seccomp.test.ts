import { chmodSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

const source = fileURLToPath(new URL('../testing/try-calls.c', import.meta.url))
const EPERM = 1
const ENOSYS = 38

for (const who of ['root', 'single'] as const) {
  describeWith([...requirementsOf[who], 'cc'], `the system call filter (${who})`, () => {
    let machine: Machine
    /** An errno, 0, or how the call ended its process: "signal 11". */
    let answers: Record<string, number | string>

    beforeAll(async () => {
      machine = await startMachine(who)
      const layer = await machine.layer('calls', {})
      const program = machine.directory.join('try-calls')
      await checkTool('cc', ['-static', '-O1', '-o', program, source])
      copyFileSync(program, join(layer, 'try-calls'))
      chmodSync(join(layer, 'try-calls'), 0o755)
      const { stdout } = await machine.run({ run: ['/try-calls'], layers: [layer] })
      answers = Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split('='))
          .map(([name, answer]) => [name, /^\d+$/.test(answer!) ? Number(answer) : answer]),
      )
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    // What Docker's default profile answers to each, by its own text.
    test('ordinary calls and socket families pass', () => {
      expect(answers).toMatchObject({
        getpid: 0,
        'socket inet': 0,
        'socket unix': 0,
        'socket netlink': 0,
        'personality query': 0,
        ptrace: 0,
      })
    })

    test('namespaces, keys, kernel interfaces and rare families are refused with EPERM', () => {
      const refused = [
        'socket alg',
        'socket vsock',
        'personality no randomisation',
        'clone newuser',
        'unshare',
        'keyctl',
        'add_key',
        'bpf',
        'io_uring_setup',
        'open_tree',
        'open_by_handle_at',
        'setns',
        'pivot_root',
        'init_module',
        'userfaultfd',
        'perf_event_open',
        'kexec_load',
        'swapon',
      ]
      expect(Object.fromEntries(refused.map((name) => [name, answers[name]]))).toEqual(
        Object.fromEntries(refused.map((name) => [name, EPERM])),
      )
    })

    test('clone3 and calls newer than the policy are not there, so that programs use older ones', () => {
      expect(answers).toMatchObject({ clone3: ENOSYS, 'future call': ENOSYS, 'no such call': ENOSYS })
    })

    test('by the 32-bit entry every refused call is refused as well', () => {
      if (process.arch !== 'x64') return
      const names = Object.keys(answers).filter((name) => name.startsWith('32-bit '))
      expect(names.length).toBeGreaterThan(20)
      // A kernel may be built or started without that entry, and answers or ends who tries it.
      expect([0, ENOSYS, 'signal 11']).toContain(answers['32-bit getpid'])
      const isThere = answers['32-bit getpid'] === 0
      for (const name of names.filter((each) => each !== '32-bit getpid')) {
        const refusals = isThere ? [name === '32-bit clone3' ? ENOSYS : EPERM] : [EPERM, ENOSYS, 'signal 11']
        expect([name, refusals.includes(answers[name]!), answers[name]]).toEqual([name, true, answers[name]])
      }
    })

    test('x32 is not there', () => {
      if (process.arch !== 'x64') return
      const names = Object.keys(answers).filter((name) => name.startsWith('x32 '))
      expect(names.length).toBeGreaterThan(5)
      for (const name of names) expect([name, answers[name]]).toEqual([name, ENOSYS])
    })
  })
}
