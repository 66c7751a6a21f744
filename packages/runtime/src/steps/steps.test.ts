import { lstatSync, readdirSync, readFileSync, existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'

const everybody: readonly Who[] = ['root', 'root-userns', 'container', 'container-userns', 'subordinate', 'single']

/** Those to whom the kernel gives no new /proc: steps see the container's, and its numbers of processes. */
const inContainers: readonly Who[] = ['container', 'container-userns']

for (const who of everybody) {
  describeWith(requirementsOf[who], `a step (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    test('its exit code comes back as it is', async () => {
      expect((await machine.run({ run: 'exit 0' })).exit).toEqual({ exitCode: 0, oomKilled: false })
      expect((await machine.run({ run: 'exit 42' })).exit).toEqual({ exitCode: 42, oomKilled: false })
    })

    test('a signal that ended it comes back as 128 + n and by name', async () => {
      expect((await machine.run({ run: 'ulimit -t 1; while :; do :; done' })).exit).toEqual({
        exitCode: 137,
        signal: 'SIGKILL',
        oomKilled: false,
      })
    })

    // As Docker's: the kernel spares process 1 what it sends itself and does not handle.
    test('its command is process 1 of its namespace', async () => {
      const { stdout, exit } = await machine.run({
        run: 'echo $$; kill -TERM $$; kill -KILL $$; trap "echo handled" USR1; kill -USR1 $$',
      })
      expect([stdout, exit?.exitCode]).toEqual(['1\nhandled\n', 0])
    })

    test('output comes whole and apart, in the order of each stream', async () => {
      const { stdout, stderr } = await machine.run({
        run: 'for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf "no newline"',
      })
      expect(stdout).toBe('out 1\nout 2\nout 3\nno newline')
      expect(stderr).toBe('err 1\nerr 2\nerr 3\n')
    })

    test('streams that are written in turn, with a pause, arrive in that order', async () => {
      const { output } = await machine.run({ run: 'echo a; sleep 0.05; echo b >&2; sleep 0.05; echo c' })
      expect(output).toBe('a\nb\nc\n')
    })

    test('megabytes of output are not cut and not held back by the other stream', async () => {
      const { stdout, stderr, exit } = await machine.run({
        run: 'head -c 5000000 /dev/zero | tr "\\0" x; head -c 3000000 /dev/zero | tr "\\0" y >&2',
      })
      expect([exit?.exitCode, stdout.length, stderr.length]).toEqual([0, 5_000_000, 3_000_000])
    })

    test('the environment is what was given, and HOME comes from the image when it is not', async () => {
      const { stdout } = await machine.run({ run: ['/bin/env'], env: ['PATH=/bin', 'NAME=häß "x"', 'EMPTY='] })
      expect(Buffer.from(stdout, 'latin1').toString().split('\n').toSorted()).toEqual([
        '',
        'EMPTY=',
        'HOME=/root',
        'NAME=häß "x"',
        'PATH=/bin',
      ])
      expect((await machine.run({ run: 'echo $HOME', env: ['PATH=/bin', 'HOME=/elsewhere'] })).stdout).toBe(
        '/elsewhere\n',
      )
      expect((await machine.run({ run: ['/bin/env'], env: ['HOME=', 'PATH=/bin'] })).stdout).toBe(
        'HOME=/root\nPATH=/bin\n',
      )
    })

    test('arguments are bytes that no shell touches', async () => {
      const { stdout } = await machine.run({ run: ['/bin/printf', '%s|', 'a b', '$HOME', '', 'ü'] })
      expect(Buffer.from(stdout, 'latin1').toString()).toBe('a b|$HOME||ü|')
    })

    test('process 1 takes no signal of the step that its command does not handle, as in Docker', async () => {
      const run = 'for s in TERM HUP SEGV KILL STOP 34; do kill -$s 1; done; echo survived'
      expect(await machine.run({ run })).toMatchObject({ stdout: 'survived\n', exit: { exitCode: 0 } })
      const handled = "trap 'echo got' TERM; kill -TERM 1; sleep 0.1; echo after"
      expect((await machine.run({ run: handled })).stdout).toBe('got\nafter\n')
    })

    test('a working directory that is missing is made with mode 0755 and entered', async () => {
      const { stdout, upper } = await machine.run({ run: 'pwd; stat -c %a:%u . ..', cwd: '/a/b/c' })
      expect(stdout).toBe('/a/b/c\n755:0\n755:0\n')
      expect(existsSync(`${upper}/a/b/c`)).toBe(true)
    })

    test('what stands before a `..` of a working directory is made as well', async () => {
      const { stdout, upper } = await machine.run({ run: 'pwd', cwd: '/a/./b//c/../../d/..x' })
      expect(stdout).toBe('/a/d/..x\n')
      expect(readdirSync(`${upper}/a`).toSorted()).toEqual(['b', 'd'])
      expect(existsSync(`${upper}/a/b/c`)).toBe(true)
    })

    test('a working directory through links stays inside the root', async () => {
      const layer = await machine.layer('cwd-links', { 'real/dir/': '' })
      const { symlinkSync } = await import('node:fs')
      symlinkSync('/real/dir', `${layer}/absolute`)
      symlinkSync('../../../../real', `${layer}/climbing`)
      symlinkSync('/made/here', `${layer}/dangling`)
      const cwdOf = async (cwd: string): Promise<string> =>
        (await machine.run({ run: '/bin/pwd -P', cwd, layers: [layer] })).stdout
      expect(await cwdOf('/absolute')).toBe('/real/dir\n')
      expect(await cwdOf('/climbing/dir')).toBe('/real/dir\n')
      expect(await cwdOf('/dangling/deep')).toBe('/made/here/deep\n')
    })

    test('a working directory through a magic link of /proc is refused, and nothing is made for it', async () => {
      const layer = await machine.layer('magic-cwd', {})
      const { symlinkSync } = await import('node:fs')
      symlinkSync('/proc/1/root', `${layer}/magic`)
      symlinkSync('/proc/self/fd', `${layer}/fds`)
      const fds = Array.from({ length: 8 }, (_, fd) => [`/proc/self/fd/${fd}`, `/fds/${fd}/x`]).flat()
      const others = ['root', 'cwd', 'exe', 'root/new', 'cwd/new', 'task/1/root/new', 'ns/mnt', 'fd/3/../new']
      for (const cwd of [
        '/magic',
        '/magic/new',
        '/dev/fd/3/new',
        ...others.map((name) => `/proc/self/${name}`),
        ...fds,
      ]) {
        const { exit, upper, stdout } = await machine.run({ run: 'pwd', cwd, layers: [layer] })
        expect([cwd, exit?.exitCode, stdout, readdirSync(upper)]).toEqual([cwd, 126, '', []])
      }
    })

    test('a plain directory of /proc or /sys can be the working directory', async () => {
      const pwd = async (cwd: string): Promise<string> => (await machine.run({ run: '/bin/pwd', cwd })).stdout
      expect([await pwd('/proc'), await pwd('/proc/self'), await pwd('/sys/kernel')]).toEqual([
        '/proc\n',
        inContainers.includes(who) ? expect.stringMatching(/^\/proc\/\d+\n$/) : '/proc/1\n',
        '/sys/kernel\n',
      ])
    })

    test('a working directory that is a file is refused with 126', async () => {
      const { exit } = await machine.run({ run: 'true', cwd: '/etc/passwd' })
      expect(exit?.exitCode).toBe(126)
      expect(exit?.startError).toMatchObject({ operation: 'working directory /etc/passwd', errno: 'ENOTDIR' })
    })

    test('a command that is not there is 127, one that cannot be executed 126', async () => {
      const layer = await machine.layer('commands', { 'bin/plain': 'no header\n', 'bin/x': '' })
      const { chmodSync } = await import('node:fs')
      chmodSync(`${layer}/bin/plain`, 0o755)
      chmodSync(`${layer}/bin/x`, 0o644)
      const start = async (...args: string[]): Promise<unknown> => {
        const { exit } = await machine.run({ run: args, layers: [layer] })
        return [exit?.exitCode, exit?.startError?.errno, exit?.startError?.message]
      }
      expect(await start('nothing')).toEqual([127, 'ENOENT', 'exec: "nothing": executable file not found in $PATH'])
      expect(await start('/no/such')).toEqual([127, 'ENOENT', 'exec: "/no/such": no such file or directory'])
      expect(await start('/bin/x')).toEqual([126, 'EACCES', 'exec: "/bin/x": permission denied'])
      expect(await start('x')).toEqual([126, 'EACCES', 'exec: "x": permission denied'])
      expect(await start('/etc')).toEqual([126, 'EACCES', 'exec: "/etc": permission denied'])
      expect((await start('/bin/plain')) as unknown[]).toEqual([
        126,
        'ENOEXEC',
        expect.stringContaining('exec format error'),
      ])
    })

    test("PATH of the step's environment is searched, in order", async () => {
      const layer = await machine.layer('path', {
        'one/tool': '#!/bin/sh\necho one\n',
        'two/tool': '#!/bin/sh\necho two\n',
      })
      const { chmodSync } = await import('node:fs')
      for (const name of ['one', 'two']) chmodSync(`${layer}/${name}/tool`, 0o755)
      expect((await machine.run({ run: ['tool'], env: ['PATH=/none:/two:/one'], layers: [layer] })).stdout).toBe(
        'two\n',
      )
    })

    test('root has the capabilities of Docker, no_new_privs is off, a filter is on, umask is 022', async () => {
      const { stdout } = await machine.run({
        run: 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status; umask',
        network: 'none',
      })
      // Measured in `docker run`: permitted, effective and bounding set; inheritable and ambient empty.
      expect(stdout.replaceAll('\t', '')).toBe(
        'CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:2\n0022\n',
      )
    })

    test("on the host's network it cannot read what others send, nor take the ports of services", async () => {
      const { stdout } = await machine.run({ run: 'grep -E "^Cap(Prm|Eff|Bnd)" /proc/self/status' })
      // Docker's without CAP_NET_BIND_SERVICE (10) and CAP_NET_RAW (13).
      const without = 0xa80425fb - (1 << 10) - (1 << 13)
      expect(stdout.match(/[0-9a-f]{16}/g)!.map((set) => Number(`0x${set}`))).toEqual([without, without, without])
      // Some machines let everybody take any port.
      if (Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) <= 87) return
      const { stderr } = await machine.run({ run: 'timeout 1 nc -l -p 87' })
      expect(stderr).toMatch(/Permission denied/)
    })

    test('an insecure step keeps its capabilities and has no filter', async () => {
      const { stdout } = await machine.run({
        run: 'grep -E "^(CapEff|Seccomp:)" /proc/self/status',
        security: 'insecure',
      })
      // With a single id one filter is there in any case: it asks the supervisor.
      expect(stdout).toContain(`Seccomp:\t${who === 'single' ? 2 : 0}`)
      expect(BigInt(`0x${/CapEff:\t(\w+)/.exec(stdout)?.[1]}`) > 0xa80425fbn).toBe(true)
    })

    test('it has three descriptors, and standard input is /dev/null', async () => {
      const { stdout } = await machine.run({
        run: 'ls /proc/self/fd | tr "\\n" " "; readlink /proc/self/fd/0; cat',
      })
      // `ls` holds the directory that it reads as descriptor 3.
      expect(stdout.replace(/ +/g, ' ')).toMatch(/^0 1 2 3 \/dev\/null\n$/)
    })

    test('it sees its own processes only, where it has a /proc of its own', async () => {
      if (inContainers.includes(who)) return // containers.test.ts
      const { stdout } = await machine.run({ run: 'ls /proc | grep -c "^[0-9]"' })
      expect(Number(stdout)).toBeLessThan(6)
    })

    test('the host name and /etc/hosts are its own', async () => {
      const { stdout } = await machine.run({ run: 'hostname; cat /etc/hosts', extraHosts: [['10.0.0.7', 'db']] })
      expect(stdout).toBe(
        'testhost\n127.0.0.1\tlocalhost testhost\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n',
      )
    })

    test("/etc/resolv.conf is the host's and can not be written", async () => {
      const { stdout, stderr } = await machine.run({
        run: 'cat /etc/resolv.conf; echo x > /etc/resolv.conf; echo x > /etc/hosts',
      })
      expect(stdout).toBe(existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'latin1') : '')
      expect(stderr.match(/Read-only file system/g)).toHaveLength(2)
    })

    test('the dangerous parts of /proc and /sys are covered or read-only', async () => {
      const { stdout, stderr } = await machine.run({
        run: 'for f in kcore keys timer_list interrupts; do [ -e /proc/$f ] && wc -c < /proc/$f; done; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/domainname; echo b > /proc/sysrq-trigger; mkdir /sys/x; mkdir /proc/x',
      })
      expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['0']))
      expect(stderr).toMatch(/domainname: Read-only/)
      if (existsSync('/proc/sysrq-trigger')) expect(stderr).toMatch(/sysrq-trigger: Read-only/)
      expect(stderr).toMatch(/\/sys\/x.*Read-only/)
    })

    test('/dev is small and works', async () => {
      const { stdout, stderr } = await machine.run({
        run: 'ls /dev; head -c 3 /dev/urandom | wc -c; echo x > /dev/full; echo to-null > /dev/null; echo shm > /dev/shm/f && cat /dev/shm/f; echo std > /dev/stdout',
      })
      expect(stdout).toBe(
        'fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n3\nshm\nstd\n',
      )
      expect(stderr).toMatch(/No space left/)
    })

    // As runc names it, whose mounts Docker's steps have.
    test('/dev/shm has the name that programs look for', async () => {
      const { stdout } = await machine.run({ run: 'grep " /dev/shm " /proc/mounts | cut -d" " -f1-3' })
      expect(stdout).toBe('shm /dev/shm tmpfs\n')
    })

    test('its mounts tell nothing about where the store lies', async () => {
      const lower = await machine.layer('named-layer', { file: '' })
      const scratchDirectory = await machine.ownDirectory('named-scratch')
      const { stdout } = await machine.run({
        run: 'cat /proc/self/mountinfo /proc/mounts',
        layers: [lower],
        mounts: [{ source: { kind: 'overlay', lowers: [lower], scratchDirectory }, target: '/m', readonly: false }],
      })
      expect(stdout).toContain(' / / ')
      expect(stdout).not.toContain(machine.directory.path)
      // Not by a piece of it either: a name of a layer, of the state directory.
      expect(stdout).not.toMatch(/named-|own|state|executor|step-\d|upper\b|rootfs/)
    })

    test('it cannot mount, unshare, or enter another root', async () => {
      const { stdout } = await machine.run({
        run: 'mount -t tmpfs x /tmp 2>/dev/null || echo no mount; unshare -m true 2>/dev/null || echo no unshare; umount /proc 2>/dev/null || echo no umount',
      })
      expect(stdout).toBe('no mount\nno unshare\nno umount\n')
    })

    test('what it writes is in upper, what it deletes is a whiteout there, and the layers below are untouched', async () => {
      const layer = await machine.layer('below', { 'data/keep': 'keep', 'data/gone': 'gone' })
      const { upper, stdout } = await machine.run({
        run: 'rm /data/gone; echo new > /data/new; ls /data',
        layers: [layer],
      })
      expect(stdout).toBe('keep\nnew\n')
      expect(readdirSync(`${upper}/data`).toSorted()).toEqual(['gone', 'new'])
      const whiteout = lstatSync(`${upper}/data/gone`)
      expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0])
      expect(readFileSync(`${layer}/data/gone`, 'utf8')).toBe('gone')
    })

    test('a step that does nothing leaves nothing in upper, whatever mount points the image lacks', async () => {
      const layer = await machine.layer('empty-image', { 'only/': '' })
      const { upper, exit } = await machine.run({
        run: ['/bin/busybox', 'true'],
        layers: [layer],
        mounts: [{ source: { kind: 'tmpfs' }, target: '/not/there/yet', readonly: false }],
      })
      expect(exit?.exitCode).toBe(0)
      expect(readdirSync(upper)).toEqual([])
    })

    test("the root directory keeps the mode of the layers' own", async () => {
      const layer = await machine.layer('root-mode', {})
      const { chmodSync } = await import('node:fs')
      chmodSync(layer, 0o711)
      expect((await machine.run({ run: 'stat -c %a /', layers: [layer] })).stdout).toBe('711\n')
    })

    test('the work directory is left empty, so that its owner can remove it', async () => {
      const { upper } = await machine.run({ run: 'rm /etc/group; touch /x' })
      expect(readdirSync(upper.replace(/upper$/, 'work'))).toEqual([])
    })

    test('a hundred and twenty layers are one root', async () => {
      const layers: string[] = []
      for (let number = 0; number < 120; number++)
        layers.push(await machine.layer(`many-${number}`, { [`many/${number}`]: '', shared: String(number) }))
      const { stdout } = await machine.run({ run: 'ls /many | wc -l; cat /shared', layers })
      expect(stdout).toBe('120\n119')
    })

    test('more layers than the kernel stacks are refused by name', async () => {
      const layer = await machine.layer('one-of-many', {})
      const { error } = await machine.run({ run: 'true', layers: Array.from({ length: 500 }, () => layer) })
      expect(error).toMatchObject({ code: 'OCI_RUNTIME_MOUNT', message: expect.stringContaining('501 layers') })
    })

    test('a read-only root can be read and not written', async () => {
      const { stdout, stderr } = await machine.run({ run: 'cat /etc/group | head -1; touch /x', readonlyRoot: true })
      expect(stdout).toBe('root:x:0:\n')
      expect(stderr).toMatch(/Read-only file system/)
    })

    test('with no network there is a loopback device that works, and nothing else', async () => {
      const { stdout } = await machine.run({
        run: 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; ip -4 -o addr | wc -l; (echo hi | nc -l -p 7070 &) ; sleep 0.2; nc 127.0.0.1 7070 < /dev/null',
        network: 'none',
      })
      expect(stdout.split('\n').slice(0, 2)).toEqual(['lo', '1'])
      expect(stdout).toContain('hi')
    })

    test("the host's network is the host's", async () => {
      const { stdout } = await machine.run({ run: 'readlink /proc/self/ns/net' })
      expect(stdout.trim()).toBe((await import('node:fs')).readlinkSync('/proc/self/ns/net'))
    })

    test('canceling ends it with everything that it started', async () => {
      const marker = `77${process.pid}${everybody.indexOf(who)}`
      const { error, durationMs } = await machine.run({
        run: `(setsid sleep ${marker} &); trap "" TERM INT; echo ready; sleep ${marker}`,
        cancelAt: 'ready',
      })
      expect(error?.code).toBe('OCI_RUNTIME_CANCELED')
      expect(durationMs).toBeLessThan(2000)
      expect(commandLines().filter((line) => line.includes(marker))).toEqual([])
    })

    test('a daemon that it leaves behind ends with it', async () => {
      const { exit, durationMs } = await machine.run({ run: '(setsid sleep 600 >&2 &); exit 3' })
      expect(exit?.exitCode).toBe(3)
      expect(durationMs).toBeLessThan(5000)
    })

    test('resource limits are set', async () => {
      const { stdout } = await machine.run({
        run: 'ulimit -Sn; ulimit -Hn',
        rlimits: [{ type: 'nofile', soft: 100, hard: 200 }],
      })
      expect(stdout).toBe('100\n200\n')
    })

    test('steps side by side do not disturb each other', async () => {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, number) =>
          machine.run({ run: `sleep 0.0${number}; echo ${number}; exit ${number}` }),
        ),
      )
      expect(results.map(({ stdout, exit }) => [stdout, exit?.exitCode])).toEqual(
        results.map((_, number) => [`${number}\n`, number]),
      )
    })

    test(
      who === 'single'
        ? 'another user has its ids and groups, and the rights of the one user that there is'
        : 'another user runs with its groups and no capability',
      async () => {
        const { error, stdout } = await machine.run({
          run: 'id -u; id -G; grep CapEff /proc/self/status; touch /root/x 2>/dev/null || echo denied; touch /tmp/mine && stat -c %u:%g /tmp/mine; pwd; stat -c %u:%g .; echo x > /dev/stdout',
          uid: 1000,
          gid: 1001,
          groups: [1001, 44],
          cwd: '/home/new',
        })
        if (who === 'single') {
          expect(error).toBeUndefined()
          expect(stdout).toMatch(/^1000\n1001 44\nCapEff:\t\w+\n1000:1001\n\/home\/new\n1000:1001\nx\n$/)
        } else {
          expect(stdout).toBe('1000\n1001 44\nCapEff:\t0000000000000000\ndenied\n1000:1001\n/home/new\n1000:1001\nx\n')
        }
      },
    )

    test('additional groups of root do not stand in the way of a single id', async () => {
      expect((await machine.run({ run: 'id -u', groups: [0, 4, 10] })).stdout).toBe('0\n')
    })
  })
}

function commandLines(): string[] {
  return (
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        } catch {
          return '' // ended meanwhile
        }
      })
      // This test's own shell line quotes the marker too.
      .filter((line) => line.startsWith('sleep '))
  )
}
