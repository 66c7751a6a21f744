/** Root of a container: steps have ids of their own, and see its /proc, as the kernel gives them no new one. */
import { lstatSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { CONTAINER_ROOT, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

const jobs = new URL('../testing/handlers.test.helper.ts', import.meta.url).href

const places = {
  container: { stepRoot: 100_000, count: 65_536 },
  'container-userns': { stepRoot: CONTAINER_ROOT + 1, count: 65_535 },
} as const

/** What a step finds open of each process that is not of its own namespace; and how many such it sees. */
const lookAround = `own=$(readlink /proc/self/ns/pid); seen=0; tries=0
until grep -qs '^sleep' /proc/[0-9]*/cmdline || [ $tries = 200 ]; do usleep 50000; tries=$((tries + 1)); done
for at in /proc/[0-9]*; do
  [ "$(readlink $at/ns/pid 2>/dev/null)" = "$own" ] && continue
  [ -d $at ] || continue
  seen=$((seen + 1))
  for file in environ mem maps auxv stack syscall; do dd if=$at/$file of=/dev/null bs=1 count=1 2>/dev/null && echo "read $at/$file"; done
  for link in root cwd exe fd/1 ns/user ns/mnt; do readlink $at/$link >/dev/null 2>&1 && echo "link $at/$link"; done
  ls $at/root/ >/dev/null 2>&1 && echo "list $at/root"
done
echo "seen $((seen > 2))"`

for (const who of ['container', 'container-userns'] as const) {
  const { stepRoot, count } = places[who]
  describeWith(requirementsOf[who], `a step (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => {
      await machine?.[Symbol.asyncDispose]()
    })

    test("has ids from 0 that are none of the container's users, and no other one", async () => {
      const { stdout, upper } = await machine.run({
        run: `touch /a /b; chown ${count - 1}:7 /a; chown ${count} /b 2>&1 | grep -o 'Invalid argument'; id -u; wc -l < /proc/self/uid_map`,
      })
      expect(stdout).toBe('Invalid argument\n0\n1\n')
      const { uid, gid } = lstatSync(`${upper}/a`)
      expect([uid, gid, lstatSync(`${upper}/b`).uid]).toEqual([stepRoot + count - 1, stepRoot + 7, stepRoot])
    })

    test('a user that its ids do not reach is refused by name', async () => {
      const { error } = await machine.run({ run: 'true', uid: count })
      expect(error).toMatchObject({
        code: 'OCI_RUNTIME_ID_UNAVAILABLE',
        message: expect.stringContaining(`user ${count}`),
        hint: expect.stringContaining('--uidmap'),
      })
    })

    test('sees other processes in /proc, and neither memory, environment, files nor namespaces of any', async () => {
      const other = machine.run({ run: 'sleep 3; true', env: ['PATH=/bin', 'SECRET=other'] })
      const { stdout } = await machine.run({ run: lookAround })
      expect(stdout).toBe('seen 1\n')
      expect((await other).exit?.exitCode).toBe(0)
    })

    test('changes nothing of a process of the container, of the machine, of the executor or of its file jobs', async () => {
      const { output } = await machine.job(jobs, 'ownNumber', {})
      const { stdout } = await machine.run({
        run: `for at in /proc/[0-9]*; do readlink $at/ns/pid >/dev/null 2>&1 || grep -l job-child $at/cmdline; done | wc -l
              for at in /proc/[0-9]*; do
                [ "$(readlink $at/ns/pid 2>/dev/null)" = "$(readlink /proc/self/ns/pid)" ] && continue
                for file in oom_score_adj comm coredump_filter clear_refs sched autogroup uid_map setgroups; do (echo 5 > $at/$file) 2>/dev/null && echo $at/$file; done
              done
              for file in sys/kernel/core_pattern sys/vm/drop_caches sysrq-trigger irq/default_smp_affinity; do (echo 1 > /proc/$file) 2>/dev/null && echo $file; done
              true`,
      })
      // It is seen, and that is all.
      expect([output, stdout]).toEqual([expect.any(Number), '1\n'])
    })

    test('finds itself in /proc/self, and opens its own output by name, as any user', async () => {
      for (const uid of [0, 1000]) {
        const { stdout, stderr } = await machine.run({
          run: 'read name < /proc/self/comm; echo $name; echo out > /dev/stdout; echo err > /dev/stderr; ls /proc/self/root/bin/sh',
          uid,
        })
        expect([stdout, stderr]).toEqual(['sh\nout\n/proc/self/root/bin/sh\n', 'err\n'])
      }
    })
  })
}
