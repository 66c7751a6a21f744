import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, listProcesses } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'
import type { StepMount } from './types.ts'

// Each after an advisory or a class of them.
for (const who of ['root', 'container', 'subordinate', 'single'] as const) {
  describeWith(requirementsOf[who], `a hostile step or image (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    const bind = (hostPath: string, target: string, subPath?: string): StepMount => ({
      source: { kind: 'bind', hostPath, ...(subPath === undefined ? {} : { subPath }) },
      target,
      readonly: false,
    })

    // CVE-2019-5736
    test('finds no program of ours in its namespace: process 1 is its command', async () => {
      if (who === 'container') return // containers.test.ts: it sees the numbers of the container
      const { stdout } = await machine.run({
        run: [
          'readlink /proc/1/exe; ls /proc | grep -c "^[0-9]"; cat /proc/1/environ | tr "\\0" "\\n" | grep -v ^PATH=',
          'readlink /proc/1/root',
        ].join('\n'),
      })
      // `ls`, `grep` and the shell.
      expect(stdout).toBe('/bin/busybox\n3\nHOME=/root\n/\n')
    })

    // CVE-2024-21626
    test('has no descriptor that leads out', async () => {
      const { stdout } = await machine.run({
        run: 'for pid in self $$; do for f in /proc/$pid/fd/*; do case "$(readlink $f)" in /*|pipe:*|"") ;; *) readlink $f;; esac; done; done; ls -d /proc/self/fd/*/.. 2>/dev/null; readlink /proc/self/cwd',
      })
      // `ls` shows the directory that the shell's glob opened, were there one.
      expect(stdout).toBe('/\n')
    })

    test('mounts a /dev whose null is a link to a descriptor: none becomes its standard input', async () => {
      for (let number = 0; number < 16; number++) {
        const dev = await machine.layer(`dev-${number}`, {})
        symlinkSync(`/proc/self/fd/${number}`, join(dev, 'null'))
        const { stdout, stderr } = await machine.run({
          run: 'readlink /proc/self/fd/0; [ ! -d /proc/self/fd/0 ] || ls /proc/self/fd/0/',
          mounts: [bind(dev, '/dev')],
        })
        expect([stdout, stderr]).toEqual(['/dev/null\n', ''])
      }
      const dev = await machine.layer('dev-pipe', {})
      await checkTool('mkfifo', [join(dev, 'null')])
      const { stdout } = await machine.run({ run: 'cat; echo read', mounts: [bind(dev, '/dev')] })
      expect(stdout).toBe('read\n')
    })

    test('mounts over its root by a link to it: refused', async () => {
      const layer = await machine.layer('links-to-root', {})
      symlinkSync('/', join(layer, 'x'))
      symlinkSync('..', join(layer, 'y'))
      for (const target of ['/x', '/y', '/x/y/'])
        expect(
          (
            await machine.run({
              run: 'true',
              layers: [layer],
              mounts: [{ source: { kind: 'tmpfs' }, target, readonly: false }],
            })
          ).error?.message,
        ).toContain('is the root of the step')
    })

    // CVE-2025-31133, CVE-2025-52565
    test('brings a /dev of its own in vain: links in the place of devices are not followed', async () => {
      const layer = await machine.layer('hostile-dev', { 'victim/file': 'as it was' })
      mkdirSync(join(layer, 'dev'))
      for (const name of ['null', 'console', 'ptmx', 'tty', 'full', 'fd', 'shm', 'mqueue', 'pts'])
        symlinkSync('/victim/file', join(layer, 'dev', name))
      const { stdout, exit, upper } = await machine.run({
        run: 'stat -c %F /dev/null /dev/tty; cat /victim/file; cat /proc/keys /proc/timer_list 2>&1',
        layers: [layer],
      })
      expect([exit?.exitCode, stdout]).toEqual([0, 'character special file\ncharacter special file\nas it was'])
      expect(readdirSync(upper)).toEqual([])
    })

    // CVE-2024-23652
    test('swaps the parent of a mount point for a link: nothing is removed where it leads', async () => {
      const outside = machine.directory.join('outside')
      mkdirSync(join(outside, 'mount'), { recursive: true })
      writeFileSync(join(outside, 'file'), 'kept')
      chmodSync(outside, 0o777)
      const { upper } = await machine.run({
        run: `rm -rf /a; mv /a /c; mkdir -p /a/mount; ln -sfn ${outside} /a; ln -sfn ${outside} /a/mount; rmdir /a/mount; true`,
        mounts: [{ source: { kind: 'tmpfs' }, target: '/a/mount', readonly: false }],
      })
      expect(existsSync(upper)).toBe(true)
      expect(readdirSync(outside).toSorted()).toEqual(['file', 'mount'])
    })

    // CVE-2024-23651
    test('swaps a directory of a shared cache for a link while other steps mount it', async () => {
      const cache = await machine.ownDirectory('race-cache')
      const secret = machine.directory.join('race-secret')
      mkdirSync(secret)
      writeFileSync(join(secret, 'secret'), 'of the host')
      const swapping = machine.run({
        run: `end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do for i in 1 2 3 4 5 6 7 8 9; do mkdir -p /cache/d/e; rm -rf /cache/d; ln -s ${secret} /cache/d; rm /cache/d; done; done; true`,
        mounts: [bind(cache, '/cache')],
      })
      const seen: string[] = []
      let isSwapping = true
      void swapping.then(() => (isSwapping = false))
      while (isSwapping) {
        const { stdout } = await machine.run({
          run: 'ls /m /cache/d /t 2>/dev/null; true',
          mounts: [
            bind(cache, '/m', 'd'),
            bind(cache, '/cache'),
            bind(cache, '/cache/d/t'),
            { source: { kind: 'tmpfs' }, target: '/cache/d/tmpfs', readonly: false },
            {
              source: { kind: 'secret', content: Uint8Array.of(1), uid: 0, gid: 0, mode: 0o400 },
              target: '/cache/d/e/lent',
              readonly: true,
            },
          ],
        })
        seen.push(stdout)
      }
      expect(seen.length).toBeGreaterThan(3)
      expect(seen.filter((text) => /^secret$/m.test(text))).toEqual([])
      expect(readdirSync(secret)).toEqual(['secret'])
    })

    test('leaves processes that fork for ever: they end with it, and the next step works', async () => {
      const name = `bomb-${process.pid}-${who}`
      const layer = await machine.layer('bomb', {
        // At most some hundred at a time: each lives for a moment and starts the next.
        bomb: '#!/bin/sh\ntrap "" TERM INT HUP\nsleep 0.05\nsetsid /bomb "$1" >/dev/null 2>&1 &\n',
      })
      chmodSync(join(layer, 'bomb'), 0o755)
      const { exit } = await machine.run({
        run: `for i in $(seq 40); do setsid /bomb ${name} >/dev/null 2>&1 & done; sleep 0.5`,
        layers: [layer],
      })
      expect(exit?.exitCode).toBe(0)
      expect(listProcesses().filter(({ command }) => command.includes(name))).toEqual([])
      expect((await machine.run({ run: 'echo works' })).stdout).toBe('works\n')
    })

    test('forks without end under a limit of processes: canceled, it is gone at once', async () => {
      if (who === 'single') return // has no other user, and root is not limited
      const { error, durationMs } = await machine.run({
        run: 'b() { b | b & }; b; exec sleep 60',
        uid: 4711,
        gid: 4711,
        rlimits: [{ type: 'nproc', soft: 150, hard: 150 }],
        cancelAfterMs: 700,
      })
      expect(error?.code).toBe('OCI_RUNTIME_CANCELED')
      expect(durationMs).toBeLessThan(10_000)
      const uids = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && ownerOf(pid) === 4711)
      expect(uids).toEqual([])
      expect((await machine.run({ run: 'echo works' })).stdout).toBe('works\n')
    })

    test.each([
      ['a pipe', 'mkfifo'],
      ['a device', 'mknod'],
      ['a link to itself', 'loop'],
      ['a directory', 'directory'],
    ])('brings %s as /etc/passwd: HOME is / and nothing waits', async (_kind, how) => {
      if (how === 'mknod' && who !== 'root') return
      const layer = await machine.layer(`passwd-${how}`, { 'etc/': '' })
      const path = join(layer, 'etc/passwd')
      if (how === 'mkfifo') await checkTool('mkfifo', [path])
      if (how === 'mknod') await checkTool('mknod', [path, 'c', '1', '5'])
      if (how === 'loop') symlinkSync('passwd', path)
      if (how === 'directory') mkdirSync(path)
      const { stdout, durationMs } = await machine.run({ run: ['/bin/env'], layers: [layer] })
      expect(stdout).toContain('HOME=/\n')
      expect(durationMs).toBeLessThan(5000)
    })
  })
}

for (const who of ['root', 'single'] as const) {
  describeWith(requirementsOf[who], `what a careless caller leaves open (${who})`, () => {
    test('reaches neither a step nor its init', async () => {
      const [file, directory] = [openSync('/etc/hostname', 'r'), openSync('/', 'r')]
      try {
        await using machine = await startMachine(who, { inherited: [file, directory] })
        const { stdout } = await machine.run({
          run: 'for f in /proc/self/fd/* /proc/1/fd/*; do echo "${f##*/} $(readlink $f)"; done | sort -u; ls -d /proc/*/fd/*/etc 2>/dev/null; true',
        })
        const links = stdout.split('\n').filter((line) => !/^\d+ (pipe:\[\d+\]|\/dev\/null)?$/.test(line))
        expect(links.filter((line) => line !== '' && line !== '* ')).toEqual([])
      } finally {
        closeSync(file)
        closeSync(directory)
      }
    })
  })
}

for (const who of ['root', 'single'] as const) {
  describeWith([...requirementsOf[who], 'cc'], `a step that sends its output to another one (${who})`, () => {
    test('ends, though the other writes on; and the other is told that nobody reads', async () => {
      await using machine = await startMachine(who)
      const layer = await machine.layer('pass', {})
      await checkTool('cc', [
        '-static',
        '-o',
        join(layer, 'pass'),
        join(import.meta.dirname, '../testing/pass-output.c'),
      ])
      const cache = await machine.ownDirectory('passed-output')
      const shared = {
        layers: [layer],
        mounts: [{ source: { kind: 'bind', hostPath: cache }, target: '/cache', readonly: false }] as const,
      }
      const taking = machine.run({ run: ['/pass', 'take', '/cache/socket'], ...shared })
      const given = await machine.run({ run: ['/pass', 'give', '/cache/socket'], ...shared })
      expect([given.error, given.exit?.exitCode]).toEqual([undefined, 0])
      // What was on its way when the step ended, which is more on a busy machine; the other one writes for ever.
      expect(given.stdout.length).toBeLessThan(64 << 20)
      const taken = await taking
      expect([taken.error, taken.exit?.exitCode]).toEqual([undefined, 0])
    })
  })
}

for (const who of ['root', 'subordinate'] as const) {
  describeWith([...requirementsOf[who], 'cc'], `a set-user-id program (${who})`, () => {
    test('works as in Docker: it makes another user root, with the capabilities of a step', async () => {
      await using machine = await startMachine(who)
      const layer = await machine.layer('set-id', { 'etc/shadow': 'root::0:0:99999:7:::\n' })
      const source = machine.directory.join('whoami.c')
      const text =
        '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("%d %d\\n", getuid(), geteuid()); return 0; }\n'
      writeFileSync(source, text)
      await checkTool('cc', ['-static', '-o', join(layer, 'ids'), source])
      await checkTool('chown', ['--reference', join(machine.rootfs, 'bin/busybox'), join(layer, 'ids')])
      chmodSync(join(layer, 'ids'), 0o4755)
      const { stdout } = await machine.run({
        run: '/ids; grep NoNewPrivs /proc/self/status',
        uid: 1000,
        layers: [layer],
      })
      // In a user namespace the file belongs to the user outside, which is root inside.
      expect(stdout).toBe('1000 0\nNoNewPrivs:\t0\n')
      const { stdout: su } = await machine.run({
        run: 'echo "u:x:1234:1234::/:/bin/sh" >> /etc/passwd; su u -c "id -u"; setpriv --reuid 77 id -u 2>/dev/null || true',
      })
      expect(su).toMatch(/^1234\n/)
    })
  })
}

function ownerOf(pid: string): number | undefined {
  try {
    return statSync(`/proc/${pid}`).uid
  } catch {
    return undefined // ended meanwhile
  }
}
