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
    let answers: Record<string, number>

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
          .map((line) => [line.split('=')[0], Number(line.split('=')[1])]),
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

    test('the other ways into the kernel have the same policy', () => {
      if (process.arch !== 'x64') return
      // A kernel may be built without its 32-bit entry: then both are not there.
      expect([0, ENOSYS]).toContain(answers['32-bit getpid'])
      expect([EPERM, ENOSYS]).toContain(answers['32-bit mount'])
      expect(answers['x32 getpid']).toBe(ENOSYS)
    })
  })
}
