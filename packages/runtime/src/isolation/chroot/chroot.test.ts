import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import {
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { landlockVersion } from '../../landlock.ts'
import { remaining, startContainer, type Container } from '../../testing/container.test.helper.ts'

/** errno of Linux. */
const [EPERM, ENOENT, EACCES] = [1, 2, 13]

const needs = ['root', 'busybox', 'cc']
/** Version 6 keeps signals and abstract sockets inside: Linux 6.12. */
const describeScoped = landlockVersion() >= 6 ? describe : describe.skip

describeWith(needs, 'a step as root in a container that gives no namespaces', () => {
  let container: Container
  beforeAll(async () => {
    container = await startContainer()
  })
  afterAll(async () => container[Symbol.asyncDispose]())

  test('runs as root and as another user, with output, exit code and its own root', async () => {
    const { stdout, exit } = await container.run({ run: 'id -u; ls /rootmark; exit 3' })
    expect([stdout, exit?.exitCode]).toEqual(['0\n/rootmark\n', 3])
    const other = await container.run({ run: 'id -u; id -g; echo x > /dev/stderr', uid: 1234, gid: 77 })
    expect([other.stdout, other.stderr]).toEqual(['1234\n77\n', 'x\n'])
    const ended = await container.run({ run: 'kill -TERM $$' })
    expect(ended.exit).toMatchObject({ exitCode: 143, signal: 'SIGTERM' })
  })

  test('has no capability that leads out, and gains none', async () => {
    const { stdout } = await container.run({ run: 'grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status' })
    // Docker's default without SYS_CHROOT, NET_RAW, AUDIT_WRITE and, on the network of others, NET_BIND_SERVICE.
    expect(stdout).toBe('CapEff:\t00000000880001fb\nCapBnd:\t00000000880001fb\nNoNewPrivs:\t1\n')
  })

  test('finds of /proc what is its own', async () => {
    const { stdout } = await container.run({
      run: [
        'readlink /proc/self/exe',
        'cat /proc/self/comm',
        'test "$(readlink /proc/self)" -gt 1 && echo number',
        'echo written > /dev/stdout',
        'exec 5</rootmark; readlink /proc/$$/fd/5',
        'sleep 50 & ls /proc | grep -c "^[0-9]"',
        'kill $!',
        'test -e /proc/$$ && echo there; test -e /proc/1/environ || echo not there',
        'echo copied | cat /dev/stdin',
      ].join('\n'),
    })
    expect(stdout.split('\n')).toEqual([
      '/bin/busybox',
      'cat',
      'number',
      'written',
      '/rootmark',
      // The shell, ls and grep, sleep, and what stands for process 1.
      expect.stringMatching(/^[45]$/),
      'there',
      'not there',
      'copied',
      '',
    ])
  })

  test('a signal that comes while it looks something up does not make that fail', async () => {
    const { stdout, stderr } = await container.run({
      run: 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 50 & kill $!; test -e /rootmark && cat /rootmark /etc/passwd > /dev/null && echo ok; done',
    })
    expect([stdout, stderr]).toEqual(['ok\n'.repeat(10), ''])
  })

  test('another user of the step sees what it may see', async () => {
    const { stdout } = await container.run({
      run: 'readlink /proc/self/exe; readlink /proc/self/fd/0; cat /proc/self/comm',
      uid: 1000,
    })
    expect(stdout).toBe('/bin/busybox\n/dev/null\ncat\n')
  })

  test('leaves nothing of what it found in its root', async () => {
    const before = container.listRoot()
    const cache = container.directory('cache')
    writeFileSync(join(cache, 'kept'), '1')
    const step = await container.run({
      run: 'echo 2 >> /deep/er/cache/kept; cat /run/secret; echo x > /scratch/y; mkdir /dev/shm/z; echo y > /etc/hosts; echo z > /etc/resolv.conf',
      mounts: [
        { source: { kind: 'bind', hostPath: cache }, target: '/deep/er/cache', readonly: false },
        { source: { kind: 'tmpfs', mode: 0o700 }, target: '/scratch', readonly: false },
        {
          source: { kind: 'secret', content: new TextEncoder().encode('s3cret'), uid: 0, gid: 0, mode: 0o400 },
          target: '/run/secret',
          readonly: true,
        },
      ],
    })
    expect([step.stdout, step.stderr, step.exit?.exitCode]).toEqual(['s3cret', '', 0])
    expect(container.listRoot()).toEqual(before)
    expect(readFileSync(join(cache, 'kept'), 'utf8')).toBe('12\n')
    expect(spawnSync('grep', ['-r', 's3cret', container.own]).status).toBe(1)
  })

  test('a directory that it writes itself keeps the time of that', async () => {
    await container.run({ run: 'rm -f /etc/made; touch -d @978307200 /etc' })
    await container.run({ run: 'true' })
    expect(statSync(join(container.root, 'etc')).mtimeMs).toBe(Date.UTC(2001, 0, 1))
    await container.run({ run: 'touch /etc/made' })
    expect(statSync(join(container.root, 'etc')).mtimeMs).toBeGreaterThan(Date.UTC(2020, 0, 1))
  })

  test('a mount point that it moves away is an error: the cache is not left in the layer', async () => {
    const cache = container.directory('moved')
    writeFileSync(join(cache, 'inside'), '')
    const step = await container.run({
      run: 'mv /cache /elsewhere',
      mounts: [{ source: { kind: 'bind', hostPath: cache }, target: '/cache', readonly: false }],
    })
    expect(step.error?.message).toContain('take /cache back')
    await container.run({ run: 'rm -rf /elsewhere' })
  })

  test('a cache and a layer have no file in common, whatever the step links', async () => {
    const cache = container.directory('linked-cache')
    writeFileSync(join(cache, 'first'), 'cache')
    writeFileSync(join(cache, 'inner'), 'inner')
    linkSync(join(cache, 'inner'), join(cache, 'inner-2'))
    const inner = statSync(join(cache, 'inner')).ino
    const step = await container.run({
      run: 'ln /cache/first /from-cache; mkdir /cache/a; ln /cache/first /cache/a/first; echo layer > /of-layer; chown 7:8 /of-layer; chmod 4711 /of-layer; ln /of-layer /cache/of-layer; ln -s gone /link; ln /link /cache/link',
      mounts: [{ source: { kind: 'bind', hostPath: cache }, target: '/cache', readonly: false }],
    })
    expect([step.stderr, step.exit?.exitCode]).toEqual(['', 0])
    const links = (path: string): number => lstatSync(path).nlink
    expect(['from-cache', 'of-layer', 'link'].map((name) => links(join(container.root, name)))).toEqual([1, 1, 1])
    expect(['first', 'a/first', 'of-layer', 'link'].map((name) => links(join(cache, name)))).toEqual([2, 2, 1, 1])
    const copy = statSync(join(cache, 'of-layer'))
    expect([copy.uid, copy.gid, copy.mode & 0o7777, readFileSync(join(cache, 'of-layer'), 'utf8')]).toEqual([
      7,
      8,
      0o4711,
      'layer\n',
    ])
    expect([readFileSync(join(cache, 'a/first'), 'utf8'), readlinkSync(join(cache, 'link'))]).toEqual(['cache', 'gone'])
    expect(statSync(join(cache, 'inner')).ino).toBe(inner)
    await container.run({ run: 'rm -f /from-cache /of-layer /link' })
  })

  test.each([
    ['moves the directory of a secret', 'mv /run/secrets /kept'],
    ['links a secret', 'ln /run/secrets/one /kept'],
    ['moves a tmpfs', 'mv /scratch /kept'],
    ['moves /dev', 'mv /dev /kept'],
  ])('that %s fails: it would be in the layer', async (_, run) => {
    const step = await container.run({
      run,
      mounts: [
        { source: { kind: 'tmpfs', mode: 0o700 }, target: '/scratch', readonly: false },
        {
          source: { kind: 'secret', content: new TextEncoder().encode('s3cret'), uid: 0, gid: 0, mode: 0o400 },
          target: '/run/secrets/one',
          readonly: true,
        },
      ],
    })
    expect(step.error?.message).toMatch(/take .* back from the step's root/)
    await container.run({ run: 'rm -rf /kept' })
  })

  test('a cache is not moved out over a link that the step put in its way', async () => {
    const [cache, outside] = [container.directory('victim'), container.directory('outside')]
    writeFileSync(join(cache, 'kept'), '')
    const step = await container.run({
      run: `mv /some /other; ln -s ${outside} /some; mkdir -p /other/cache; mv /etc /etc2; ln -s ${outside} /etc`,
      mounts: [{ source: { kind: 'bind', hostPath: cache }, target: '/some/cache', readonly: false }],
    })
    expect(step.error?.message).toContain('back from the step')
    expect(readdirSync(outside)).toEqual([])
    await container.run({ run: 'true' }).catch(() => {})
    await checkTool('sh', ['-c', `cd ${container.root} && rm -rf some other etc && mv etc2 etc`])
  })

  test("writes nothing of the machine's /proc, and sees none of its memory", async () => {
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    const { stdout } = await container.run({
      run: [
        'for name in sys/kernel/core_pattern sysrq-trigger; do (echo x > /proc/$name) 2>&1 | grep -o "Read-only.*"; done',
        'for name in kcore kmsg keys; do head -c 1 /proc//./$name 2>&1 | grep -o "Permission.*"; done',
        'head -c 4 /proc/sys/kernel/ostype; echo; echo 500 > /proc/self/oom_score_adj && cat /proc/$$/oom_score_adj > /dev/null && echo own',
      ].join('\n'),
    })
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before)
    expect(stdout).toBe(`${'Read-only file system\n'.repeat(2)}${'Permission denied\n'.repeat(3)}Linu\nown\n`)
  })

  test('what is in the way of /proc, /dev and /sys is refused by name', async () => {
    const root = container.directory('linked')
    await checkTool('cp', ['-a', `${container.root}/.`, root])
    await checkTool('sh', ['-c', `rmdir ${root}/proc 2>/dev/null; ln -s tmp ${root}/proc`])
    const step = await container.run({ run: 'true', directoryRoot: root })
    expect(step.error?.message).toContain('/proc')
  })

  test('has no sockets but unix ones without a network', async () => {
    const { stdout } = await container.run({
      run: 'wget -q -O - http://127.0.0.1:1/ 2>&1 || true',
      network: 'none',
    })
    expect(stdout).toMatch(/Address family not supported/)
  })

  test('what it leaves running ends with it, whatever it does not hear', async () => {
    const daemon = `trap "" TERM HUP; while :; do (setsid sh -c 'MARK=${container.marker} sleep 100' &) ; sleep 0.02; done`
    const { exit } = await container.run({
      run: `(setsid sh -c '${daemon.replaceAll("'", "'\\''")}' &); sleep 0.2; exit 0`,
    })
    expect(exit?.exitCode).toBe(0)
    expect(remaining(container.marker)).toEqual([])
  })

  test('a step that forks without end is ended, with the reason', async () => {
    const step = await container.run({ run: [container.program('fork-bomb')] })
    expect(step.error?.message).toContain('the step has more than 4096 processes')
    expect(remaining(container.marker)).toEqual([])
  })

  test('a canceled step is gone, and its root is as before', async () => {
    const before = container.listRoot()
    const step = await container.run({ run: 'echo started; sleep 100', cancelAt: 'started' })
    expect(step.error ?? step).toMatchObject({ code: 'OCI_RUNTIME_CANCELED' })
    expect(container.listRoot()).toEqual(before)
  })

  describeScoped(
    `reaches nothing outside${landlockVersion() >= 6 ? '' : ' [skipped, missing: Landlock 6 (Linux 6.12)]'}`,
    () => {
      let outcomes: Record<string, number>
      beforeAll(async () => {
        const outside = spawn('sleep', ['300'], { stdio: 'ignore' })
        const name = `ts-oci-test-${process.pid}`
        const server = createServer().listen(`\0${name}`)
        const made = await checkTool('ipcmk', ['-M', '4096'])
        const id = /\d+/.exec(made)![0]
        try {
          const { stdout } = await container.run({
            run: [container.program('reach-out'), String(outside.pid), id, name],
          })
          outcomes = Object.fromEntries(
            stdout
              .trim()
              .split('\n')
              .map((line) => [line.slice(0, line.lastIndexOf('=')), Number(line.slice(line.lastIndexOf('=') + 1))]),
          )
          await checkTool('ipcrm', ['-m', id])
        } finally {
          outside.kill('SIGKILL')
          server.close()
        }
      })

      test.each([
        ['chroot', EPERM],
        ['unshare', EPERM],
        ['user namespace', EPERM],
        ['mount', EPERM],
        ['open by handle', EPERM],
        ['io_uring', EPERM],
        ['keyctl', EPERM],
        ['bpf', EPERM],
        ['raw socket', EPERM],
        ['packet socket', EPERM],
        ['abstract socket', EPERM],
        ['shared memory', EPERM],
        ['remove shared memory', EPERM],
        ['make a tun device', EPERM],
        ['signal', EPERM],
        ['signal its parent', EPERM],
        ['signal by descriptor', EPERM],
        ['queue a signal', EPERM],
        ['trace', EPERM],
        ['read memory', EPERM],
        ['limit', EPERM],
        ['priority', EPERM],
        ["priority of all of root's", EPERM],
        ['affinity', EPERM],
        ['priority of its disk', EPERM],
        ['take a descriptor', EPERM],
        ['open /proc/PID/', ENOENT],
        ['open /proc/PID/root', ENOENT],
        ['open /proc/PID/environ', ENOENT],
        ['open /proc/PID/mem', ENOENT],
        ['open /proc/PID/cwd', ENOENT],
        ['open /proc/PID/exe', ENOENT],
        ['open /proc/PID/fd', ENOENT],
        ['open /proc/PID/maps', ENOENT],
        ['open /proc/PID/cmdline', ENOENT],
        ['open /proc/PID/ns/mnt', ENOENT],
      ])('by %s', (name, errno) => {
        expect(outcomes[name]).toBe(errno)
      })

      test('by what it was left open, or by going up from what it is given of /proc', () => {
        expect(outcomes['descriptors']).toBe(0)
        const up = Object.entries(outcomes).filter(([name]) => name.startsWith('up from'))
        expect(up.length).toBeGreaterThan(5)
        // The root again, or no such directory: never another one.
        expect(up.filter(([, errno]) => ![0, ENOENT, EACCES, 20, 40].includes(errno))).toEqual([])
      })

      test('and what is its own works', () => {
        expect(outcomes).toMatchObject({ 'own shared memory': 0, 'mode by descriptor': 0, 'owner by descriptor': 0 })
      })
    },
  )
})

describeWith(needs, 'kill -9 in a container that gives no namespaces', () => {
  const victims = [
    'coordinator',
    'launcher',
    'executor',
    'keeper',
    'guard',
    'supervisor',
    'sentinel',
    'stand-by',
  ] as const
  test.each(victims)('of the %s leaves no process, and what was moved is back at the next start', async (victim) => {
    await using container = await startContainer()
    const before = container.listRoot()
    const cache = container.directory('cache')
    writeFileSync(join(cache, 'kept'), '')
    const daemons = `for i in 1 2 3; do (setsid sh -c 'trap "" TERM; while :; do sleep 0.01; done' &); done`
    const running = container.run({
      run: `touch /cache/started; ${daemons}; while :; do sleep 0.05; done`,
      mounts: [{ source: { kind: 'bind', hostPath: cache }, target: '/cache', readonly: false }],
    })
    running.catch(() => {})
    await until(() => existsSync(join(container.root, 'cache/started')))
    container.kill(victim)
    // A second sentinel is missed by nobody: the step goes on, and ends like any.
    if (victim === 'stand-by') container.kill('coordinator')
    await until(() => remaining(container.marker).length === 0 || victim === 'coordinator')
    container.kill('coordinator')
    await until(() => remaining(container.marker).length === 0)
    // The executor itself may be ending still: then it is left alone.
    await until(async () => (await container.sweep(), readdirSync(join(container.own, 'state')).length === 0))
    expect(readdirSync(cache).toSorted()).toEqual(['kept', 'started'])
    expect(container.listRoot()).toEqual(before)
  })
})

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it did not come to that in ten seconds')
    await sleep(20)
  }
}
