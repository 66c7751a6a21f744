import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, MachineOptions } from '../testing/machine.test.helper.ts'

/** What Docker lets a container open, by number; what else stands here it refuses (asked of a real one), but for tun. */
const STANDARD = ['c 1 3', 'c 1 5', 'c 1 8', 'c 1 9']
const OTHERS = 'c 1 1,c 1 2,c 1 4,c 1 11,c 136 0,c 5 1,c 4 1,c 10 200,c 10 229,c 10 237,c 10 232,c 10 1,'
  .concat('b 7 0,b 8 0,b 254 0,b 253 0,b 259 0,b 1 3,b 5 0')
  .split(',')
const hasUnified = existsSync('/sys/fs/cgroup/cgroup.controllers') || existsSync('/sys/fs/cgroup/unified')
const hasVersion1 = existsSync('/sys/fs/cgroup/devices/devices.allow')
const unified = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup'

/** Makes each node at `at` and opens it for reading and, apart from that, for writing: "c 1 3 ok" or "c 1 3 no". */
function tryNodes(nodes: readonly string[], at: string): string {
  return [
    `for n in ${nodes.map((node) => `'${node}'`).join(' ')}; do rm -f ${at}; mknod -m 666 ${at} $n || exit 9`,
    `if (: < ${at}) 2>/dev/null || (: >> ${at}) 2>/dev/null; then echo "$n ok"; else echo "$n no"; fi; done`,
  ].join('\n')
}

function answers(nodes: readonly string[], answer: 'ok' | 'no'): string {
  return nodes.map((node) => `${node} ${answer}\n`).join('')
}

const setUps: readonly { readonly name: string; readonly there: boolean; readonly options: MachineOptions }[] = [
  { name: 'a filter on a cgroup of version 2', there: hasUnified, options: {} },
  {
    name: 'a cgroup of version 1',
    there: hasVersion1,
    options: { covered: existsSync('/sys/fs/cgroup/unified') ? ['/sys/fs/cgroup/unified'] : [] },
  },
]

for (const { name, there, options } of setUps) {
  if (!there) continue
  describeWith([...requirementsOf.root, 'unshare', 'mount'], `device nodes behind ${name}`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine('root', options)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    test('a standard node that a step makes opens, whatever file system it lies on', async () => {
      for (const at of ['/node', '/dev/node', '/tmpfs/node', '/cache/node'])
        expect((await machine.run({ run: tryNodes(STANDARD, at), mounts: await mounts(machine) })).stdout).toBe(
          answers(STANDARD, 'ok'),
        )
    })

    test('every other node can be made and does not open, wherever it lies', async () => {
      for (const at of ['/node', '/dev/node', '/tmpfs/node', '/cache/node', '/bound/node'])
        expect((await machine.run({ run: tryNodes(OTHERS, at), mounts: await mounts(machine) })).stdout).toBe(
          answers(OTHERS, 'no'),
        )
    })

    test('nor does it for another user, with whatever mode', async () => {
      const nodes = ['b 7 0', 'c 1 11']
      const layer = await machine.layer('open-to-all', {})
      nodes.forEach((node, index) => execFileSync('mknod', ['-m', '666', join(layer, `n${index}`), ...node.split(' ')]))
      const { stdout } = await machine.run({
        run: 'for n in /n0 /n1; do (: < $n) 2>/dev/null && echo opened; (: >> $n) 2>/dev/null && echo opened; done; cat /n0 2>&1',
        uid: 65_534,
        gid: 65_534,
        layers: [layer],
      })
      expect(stdout).toMatch(/^cat: .*Operation not permitted\n$/)
    })

    test('a node that comes with a layer opens when it is a standard one', async () => {
      const layer = await machine.layer('with-nodes', {})
      execFileSync('mknod', ['-m', '666', join(layer, 'zero'), 'c', '1', '5'])
      execFileSync('mknod', ['-m', '666', join(layer, 'disk'), 'b', '254', '0'])
      const { stdout } = await machine.run({
        run: 'head -c1 /zero | wc -c; head -c1 /disk 2>&1; head -c1 /bound/zero | wc -c; head -c1 /bound/disk 2>&1',
        layers: [layer],
        mounts: [{ source: { kind: 'bind', hostPath: layer }, target: '/bound', readonly: true }],
      })
      expect(stdout).toMatch(/^1\n.*not permitted\n1\n.*not permitted\n$/)
    })

    test('what debootstrap asks of a system works', async () => {
      const { stdout, stderr } = await machine.run({
        run: 'cd /tmp; mknod test-dev-null c 1 3 && echo test > test-dev-null && echo usable',
      })
      expect([stdout, stderr]).toEqual(['usable\n', ''])
    })

    test('an insecure step opens every device, and the next one does not', async () => {
      const run = 'mknod /kmsg c 1 11; (: >> /kmsg) 2>/dev/null && echo opened || echo refused'
      expect((await machine.run({ run, security: 'insecure' })).stdout).toBe('opened\n')
      expect((await machine.run({ run })).stdout).toBe('refused\n')
    })

    test('a step sees no cgroup directory that it can write', async () => {
      const { stdout } = await machine.run({
        run: [
          'find / -xdev -name cgroup.procs 2>/dev/null | head -3',
          'find /sys/fs/cgroup /dev /proc/1/root/sys -name cgroup.procs -o -name devices.allow 2>/dev/null | while read -r file; do (echo $$ > $file) 2>/dev/null && echo "wrote $file"; done',
          'mkdir /c; for o in devices cpu none,name=x; do mount -t cgroup -o $o x /c 2>/dev/null && echo mounted; done; mount -t cgroup2 x /c 2>/dev/null && echo mounted',
          'grep " cgroup" /proc/self/mountinfo | grep -v " ro,"',
          'true',
        ].join('\n'),
      })
      expect(stdout).toBe('')
    })
  })
}

describeWith([...requirementsOf.root, 'unshare', 'mount'], 'device nodes where no cgroup can be made', () => {
  let machine: Machine
  beforeAll(async () => {
    machine = await startMachine('root', { covered: ['/sys/fs/cgroup'] })
  })
  afterAll(async () => machine[Symbol.asyncDispose]())

  test('a node opens nowhere that a step can write', async () => {
    for (const at of ['/node', '/dev/node', '/dev/shm/node', '/tmpfs/node', '/cache/node', '/bound/node']) {
      const { stdout } = await machine.run({
        run: tryNodes([...STANDARD, ...OTHERS], at),
        mounts: await mounts(machine),
      })
      expect(stdout).toBe(answers([...STANDARD, ...OTHERS], 'no'))
    }
  })

  test('/dev has its devices, for every user', async () => {
    for (const uid of [0, 1000]) {
      const { stdout, stderr } = await machine.run({
        run: 'for d in null zero full random urandom; do stat -c "%n %F %a" /dev/$d; done; head -c2 /dev/zero | wc -c; echo x > /dev/null && head -c2 /dev/urandom | wc -c; cat /proc/timer_list /proc/keys',
        uid,
      })
      expect([stdout, stderr]).toEqual([
        'null zero full random urandom'
          .split(' ')
          .map((device) => `/dev/${device} character special file 666\n`)
          .join('') + '2\n2\n',
        '',
      ])
    }
  })
})

async function mounts(machine: Machine): Promise<NonNullable<Parameters<Machine['run']>[0]['mounts']>> {
  const scratchDirectory = await machine.ownDirectory(`scratch-${Math.random()}`)
  return [
    { source: { kind: 'tmpfs' }, target: '/tmpfs', readonly: false },
    { source: { kind: 'bind', hostPath: await machine.ownDirectory('cache') }, target: '/cache', readonly: false },
    { source: { kind: 'overlay', lowers: [], scratchDirectory }, target: '/bound', readonly: false },
  ]
}

for (const who of ['root', 'root-userns', 'subordinate', 'single'] as const) {
  describeWith(requirementsOf[who], `inodes of the host (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    test('no step changes mode, owner or times of a device of the host', async () => {
      const paths = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`)
      const read = (): unknown =>
        paths.map((path) => {
          const { mode, uid, gid, mtimeMs } = statSync(path)
          // A tty has the time of its last output.
          return [path, mode, uid, gid, path === '/dev/tty' ? 0 : mtimeMs]
        })
      const before = read()
      const { exit } = await machine.run({
        run: 'for f in /dev/* /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug /sys/firmware /proc/acpi; do [ -e $f ] || continue; chmod 604 $f; chown 7:7 $f; touch $f; touch -d 2001-01-01 $f; done 2>/dev/null; true',
      })
      expect(exit?.exitCode).toBe(0)
      expect(read()).toEqual(before)
    })

    test('files of ours that a step sees cannot be changed through it', async () => {
      const { stdout } = await machine.run({
        run: 'for f in /etc/hosts /etc/resolv.conf /run/secrets/s; do chmod 777 $f && echo changed; touch -d 2001-01-01 $f && echo changed; (: >> $f) && echo opened; done 2>/dev/null; true',
        mounts: [
          {
            source: { kind: 'secret', content: Uint8Array.of(120), uid: 0, gid: 0, mode: 0o400 },
            target: '/run/secrets/s',
            readonly: true,
          },
        ],
      })
      expect(stdout).toBe('')
    })

    test('a masked file reads as empty', async () => {
      const { stdout } = await machine.run({
        run: 'for f in kcore keys timer_list; do [ -e /proc/$f ] && cat /proc/$f; done; true',
      })
      expect(stdout).toBe('')
    })
  })
}

describeWith([...requirementsOf.root, 'unshare', 'mount'], 'the cgroup of an executor', () => {
  if (!hasUnified) return
  const ours = (): string[] => readdirSync(ownCgroup()).filter((name) => name.startsWith('ts-oci-devices-'))

  test('is gone when the executor has ended', async () => {
    const before = ours()
    {
      await using machine = await startMachine('root')
      expect((await machine.run({ run: 'true' })).exit?.exitCode).toBe(0)
      expect(ours().length).toBeGreaterThan(0)
    }
    expect(ours().filter((name) => before.includes(name) && !isPopulated(name))).toEqual([])
  })

  test('is swept by the next start after a kill, while those of others stay', async () => {
    await using running = await startMachine('root')
    const killed = await startMachine('root')
    const names = ours()
    killed.child.kill('SIGKILL')
    await new Promise((resolve) => killed.child.once('exit', resolve))
    await killed.directory[Symbol.asyncDispose]()
    await expectSoon(() => names.some((name) => ours().includes(name) && !isPopulated(name)))
    await using next = await startMachine('root')
    expect(names.filter((name) => ours().includes(name) && !isPopulated(name))).toEqual([])
    for (const machine of [running, next])
      expect((await machine.run({ run: tryNodes(['c 1 11', 'c 1 3'], '/n') })).stdout).toBe('c 1 11 no\nc 1 3 ok\n')
  })

  test('takes no other cgroup away, be it empty', async () => {
    const other = join(ownCgroup(), `ts-oci-of-somebody-${process.pid}`)
    mkdirSync(other)
    try {
      await using machine = await startMachine('root')
      expect((await machine.run({ run: 'true' })).exit?.exitCode).toBe(0)
      expect(existsSync(other)).toBe(true)
    } finally {
      rmdirSync(other)
    }
  })

  test('is there for each of many that start and end at once', async () => {
    const one = async (): Promise<string> => {
      await using machine = await startMachine('root')
      return (await machine.run({ run: tryNodes(['c 1 11', 'c 1 3'], '/n') })).stdout
    }
    const results = await Promise.all(Array.from({ length: 8 }, one))
    expect(new Set(results)).toEqual(new Set(['c 1 11 no\nc 1 3 ok\n']))
  })

  function ownCgroup(): string {
    const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'
    return join(unified, path)
  }

  function isPopulated(name: string): boolean {
    try {
      return readFileSync(join(ownCgroup(), name, 'cgroup.events'), 'utf8').includes('populated 1')
    } catch {
      return false // removed meanwhile
    }
  }
})

async function expectSoon(is: () => boolean): Promise<void> {
  const end = Date.now() + 5000
  while (!is()) {
    if (Date.now() > end) throw new Error('did not become so within 5 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
