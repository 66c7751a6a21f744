import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'
import type { StepMount } from './types.ts'

for (const who of ['root', 'container', 'subordinate', 'single'] as const satisfies readonly Who[]) {
  describeWith(requirementsOf[who], `mounts of a step (${who})`, () => {
    let machine: Machine
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    const bind = (
      hostPath: string,
      target: string,
      options: { readonly readonly?: boolean; readonly subPath?: string } = {},
    ): StepMount => ({
      source: { kind: 'bind', hostPath, ...(options.subPath === undefined ? {} : { subPath: options.subPath }) },
      target,
      readonly: options.readonly ?? false,
    })

    test('a directory is bound, and what the step writes lies in it', async () => {
      const cache = await machine.ownDirectory('cache')
      const { stdout, upper } = await machine.run({
        run: 'echo kept > /var/cache/app/file; cat /var/cache/app/file',
        mounts: [bind(cache, '/var/cache/app')],
      })
      expect(stdout).toBe('kept\n')
      expect(readFileSync(join(cache, 'file'), 'utf8')).toBe('kept\n')
      expect(readdirSync(upper)).toEqual([])
    })

    test('a read-only bind cannot be written', async () => {
      const source = await machine.layer('ro-source', { file: 'content' })
      const { stdout, stderr } = await machine.run({
        run: 'cat /src/file; echo x > /src/file; touch /src/new',
        mounts: [bind(source, '/src', { readonly: true })],
      })
      expect(stdout).toBe('content')
      expect(stderr.match(/Read-only file system/g)).toHaveLength(2)
    })

    test('a single file is bound over a path that the image lacks, or has', async () => {
      const source = await machine.layer('file-source', { 'requirements.txt': 'flask\n' })
      const file = join(source, 'requirements.txt')
      const { stdout, upper } = await machine.run({
        run: 'cat /app/requirements.txt /etc/passwd',
        mounts: [
          bind(file, '/app/requirements.txt', { readonly: true }),
          bind(file, '/etc/passwd', { readonly: true }),
        ],
      })
      expect(stdout).toBe('flask\nflask\n')
      expect(readdirSync(upper)).toEqual([])
    })

    test('a path inside the source is taken, and links in it stay inside', async () => {
      const source = await machine.layer('sub-source', {
        'a/b/file': 'inside',
        'etc/passwd': 'the source has its own\n',
      })
      symlinkSync('/etc', join(source, 'absolute'))
      symlinkSync('../../../../../../etc', join(source, 'climbing'))
      expect((await machine.run({ run: 'cat /m/file', mounts: [bind(source, '/m', { subPath: 'a/b' })] })).stdout).toBe(
        'inside',
      )
      for (const subPath of ['absolute', 'climbing', '../../../etc', '/etc']) {
        expect((await machine.run({ run: 'cat /m/passwd', mounts: [bind(source, '/m', { subPath })] })).stdout).toBe(
          'the source has its own\n',
        )
      }
    })

    test('a source that is not there is an error that names it', async () => {
      const source = await machine.ownDirectory('empty-source')
      const { error } = await machine.run({ run: 'true', mounts: [bind(source, '/m', { subPath: 'missing' })] })
      expect(error).toMatchObject({
        code: 'OCI_RUNTIME_MOUNT',
        message: expect.stringContaining('mount /m: source missing: no such file or directory'),
      })
    })

    test('writes into an overlay of layers are discarded', async () => {
      const below = await machine.layer('ov-below', { 'dir/a': 'a', 'dir/b': 'b' })
      const above = await machine.layer('ov-above', { 'dir/b': 'B' })
      const scratchDirectory = await machine.ownDirectory('ov-scratch')
      const { stdout } = await machine.run({
        run: 'cat /m/a /m/b; rm /m/a; echo new > /m/c; ls /m',
        mounts: [
          {
            source: { kind: 'overlay', lowers: [below, above], subPath: 'dir', scratchDirectory },
            target: '/m',
            readonly: false,
          },
        ],
      })
      expect(stdout).toBe('aBb\nc\n')
      expect(readFileSync(join(below, 'dir/a'), 'utf8')).toBe('a')
      expect(readdirSync(scratchDirectory)).toEqual([])
    })

    test('a read-only overlay of one layer, or of none, can be mounted', async () => {
      const layer = await machine.layer('ov-one', { file: 'one' })
      const scratchDirectory = await machine.ownDirectory('ov-one-scratch')
      const overlay = (lowers: readonly string[], target: string, readonly: boolean): StepMount => ({
        source: { kind: 'overlay', lowers, scratchDirectory },
        target,
        readonly,
      })
      const { stdout, stderr } = await machine.run({
        run: 'cat /one/file; ls /none | wc -l; touch /one/x',
        mounts: [overlay([layer], '/one', true), overlay([], '/none', true)],
      })
      expect(stdout).toBe('one0\n')
      expect(stderr).toMatch(/Read-only file system/)
    })

    test('a tmpfs has the size and the mode that were asked for', async () => {
      const { stdout, stderr } = await machine.run({
        run: 'stat -c %a /t /u; dd if=/dev/zero of=/t/f bs=1k count=2000 2>&1 | grep -o "No space.*"; df -k /t | tail -1 | tr -s " " | cut -d" " -f2',
        mounts: [
          { source: { kind: 'tmpfs', sizeBytes: 1 << 20, mode: 0o700 }, target: '/t', readonly: false },
          { source: { kind: 'tmpfs' }, target: '/u', readonly: false },
        ],
      })
      expect([stdout, stderr]).toEqual(['700\n1777\nNo space left on device\n1024\n', ''])
    })

    test('a tmpfs takes the mode of the directory that it covers, and that of /tmp where there is none', async () => {
      const layer = await machine.layer('tmpfs-modes', { 'closed/': '', 'sticky/': '' })
      chmodSync(join(layer, 'closed'), 0o700)
      chmodSync(join(layer, 'sticky'), 0o1750)
      const tmpfs = (target: string): StepMount => ({ source: { kind: 'tmpfs' }, target, readonly: false })
      const { stdout, upper } = await machine.run({
        run: 'stat -c "%a %u" /closed /sticky /new /new/deeper /dev/shm; stat -c %a /a /a/b',
        layers: [layer],
        mounts: ['/closed', '/sticky', '/new', '/new/deeper', '/dev/shm', '/a/b'].map(tmpfs),
      })
      // As BuildKit and runc answered.
      expect(stdout).toBe('700 0\n1750 0\n1777 0\n1777 0\n1777 0\n755\n1777\n')
      expect(readdirSync(upper)).toEqual([])
    })

    test('a mount in the place of one of ours replaces it', async () => {
      const cache = await machine.ownDirectory('instead')
      const { stdout, stderr } = await machine.run({
        run: 'for t in /dev/shm /dev/mqueue /sys /etc/hosts /dev; do echo $t $(grep -c "^[^ ]* [^ ]* [^ ]* [^ ]* $t " /proc/self/mountinfo); done; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; touch /etc/hosts/x; head -c1 /dev/zero | wc -c',
        mounts: [
          { source: { kind: 'tmpfs', sizeBytes: 1 << 20 }, target: '/dev/shm', readonly: false },
          { source: { kind: 'tmpfs' }, target: '/dev/mqueue/', readonly: false },
          { source: { kind: 'tmpfs' }, target: '/sys', readonly: false },
          { source: { kind: 'tmpfs' }, target: '/dev', readonly: false },
          bind(cache, '/etc/hosts'),
        ],
      })
      expect([stdout, stderr]).toEqual(['/dev/shm 1\n/dev/mqueue 1\n/sys 1\n/etc/hosts 1\n/dev 1\n1024\n1\n', ''])
    })

    test('a secret with an x bit can be executed', async () => {
      const { stdout } = await machine.run({
        run: '/root/hello.sh',
        mounts: [
          {
            source: {
              kind: 'secret',
              content: Uint8Array.from(Buffer.from('#!/bin/sh\necho secret ran\n')),
              uid: 0,
              gid: 0,
              mode: 0o700,
            },
            target: '/root/hello.sh',
            readonly: true,
          },
        ],
      })
      expect(stdout).toBe('secret ran\n')
    })

    test('a secret is a file with its owner and mode that no layer sees', async () => {
      const content = Uint8Array.of(0, 1, 255, 10)
      const id = 1000
      const { stdout, stderr, upper } = await machine.run({
        run: 'stat -c "%a %u:%g %s" /run/secrets/token; od -An -tx1 /run/secrets/token; echo x > /run/secrets/token; grep -c tmpfs.*secret /proc/self/mounts',
        mounts: [
          {
            source: { kind: 'secret', content, uid: id, gid: id, mode: 0o400 },
            target: '/run/secrets/token',
            readonly: true,
          },
        ],
      })
      expect(stdout).toBe(`400 ${id}:${id} 4\n 00 01 ff 0a\n1\n`)
      expect(stderr).toMatch(/Read-only file system/)
      expect(readdirSync(upper)).toEqual([])
    })

    test('mounts inside mounts work in any order of the list', async () => {
      const outer = await machine.ownDirectory('outer')
      const inner = await machine.layer('inner', { file: 'deep' })
      const { stdout } = await machine.run({
        run: 'cat /m/sub/dir/file; mount | grep -c " /m"',
        mounts: [bind(inner, '/m/sub/dir'), bind(outer, '/m')],
      })
      expect(stdout).toBe('deep2\n')
      expect(existsSync(join(outer, 'sub/dir'))).toBe(true)
    })

    test('a mount point that a layer had removed is there again, its parents as the image has them, and upper stays empty', async () => {
      const layer = await machine.layer('removed', { 'var/cache/': '' })
      chmodSync(join(layer, 'var/cache'), 0o750)
      const gone = await machine.layer('gone', { 'var/cache/app/old': 'old' })
      // As root a whiteout is a device; a user may make this one device too.
      const removing = await machine.layer('removing', { 'var/cache/': '' })
      chmodSync(join(removing, 'var/cache'), 0o750)
      execFileSync('mknod', [join(removing, 'var/cache/app'), 'c', '0', '0'])
      const cache = await machine.ownDirectory('removed-cache')
      const { stdout, upper } = await machine.run({
        run: 'ls /var/cache/app; touch /var/cache/app/now; stat -c %a /var/cache /var',
        layers: [gone, layer, removing],
        mounts: [bind(cache, '/var/cache/app')],
      })
      expect(stdout).toBe('750\n755\n')
      expect(readdirSync(cache)).toEqual(['now'])
      expect(readdirSync(upper)).toEqual([])
    })

    test('a target through a link of the image is followed inside the root, to a place that is missing as well', async () => {
      const layer = await machine.layer('linked-targets', { 'real/': '' })
      symlinkSync('/real', join(layer, 'absolute'))
      symlinkSync('../../../../../real/new', join(layer, 'climbing'))
      symlinkSync('/nowhere/yet', join(layer, 'dangling'))
      const source = await machine.layer('linked-source', { file: 'x' })
      const at = async (target: string): Promise<string> => {
        const { stdout, upper } = await machine.run({
          run: 'grep " /.* bind-probe\\|/linked-source " /proc/self/mountinfo | cut -d" " -f5',
          layers: [layer],
          mounts: [bind(source, target)],
        })
        expect(readdirSync(upper)).toEqual([])
        return stdout.trim()
      }
      expect(await at('/absolute')).toBe('/real')
      expect(await at('/climbing')).toBe('/real/new')
      expect(await at('/dangling/deep')).toBe('/nowhere/yet/deep')
      expect(existsSync('/real')).toBe(false)
      expect(existsSync('/nowhere')).toBe(false)
    })

    test('a target through a magic link of /proc does not leave the root', async () => {
      const layer = await machine.layer('magic-targets', {})
      symlinkSync('/proc/1/root/tmp', join(layer, 'magic'))
      const source = await machine.layer('magic-source', { file: 'x' })
      const before = readdirSync('/tmp').length
      for (const target of ['/magic/ts-oci-escape', '/magic', '/dev/fd/3', '/dev/fd/3/new', '/dev/stdin/x']) {
        const { error, upper } = await machine.run({ run: 'true', layers: [layer], mounts: [bind(source, target)] })
        expect([target, error?.code, readdirSync(upper)]).toEqual([target, 'OCI_RUNTIME_MOUNT', []])
      }
      expect(existsSync('/tmp/ts-oci-escape')).toBe(false)
      expect(Math.abs(readdirSync('/tmp').length - before)).toBeLessThan(50)
    })

    test('a target in /proc is refused whatever path leads there', async () => {
      const layer = await machine.layer('proc-targets', { 'a/b/': '' })
      symlinkSync('/proc', join(layer, 'x'))
      symlinkSync('../../../proc/sys', join(layer, 'a/b/y'))
      symlinkSync('/x', join(layer, 'z'))
      const cache = await machine.ownDirectory('proc-cache')
      symlinkSync('/proc/acpi', join(cache, 'c'))
      for (const target of [
        '/x',
        '/x/sys',
        '/a/b/y',
        '/a/b/y/kernel',
        '/z/self',
        '/z/../proc/1',
        '/cache/c',
        '/x/new',
      ]) {
        const { error, upper } = await machine.run({
          run: 'true',
          layers: [layer],
          mounts: [bind(cache, '/cache'), { source: { kind: 'tmpfs' }, target, readonly: false }],
        })
        expect([target, error?.code, readdirSync(upper)]).toEqual([target, 'OCI_RUNTIME_MOUNT', []])
      }
    })

    test('a link in a shared cache cannot move a mount out of it', async () => {
      const cache = await machine.ownDirectory('hostile-cache')
      symlinkSync('/etc', join(cache, 'link'))
      const source = await machine.layer('hostile-source', { file: 'x' })
      const { stdout } = await machine.run({
        run: 'cat /etc/ts-oci-target/file; ls /cache',
        mounts: [bind(cache, '/cache'), bind(source, '/cache/link/ts-oci-target')],
      })
      // Followed as the step would follow it: into the step's own /etc, never the host's.
      expect(existsSync('/etc/ts-oci-target')).toBe(false)
      expect(stdout).toContain('link')
    })

    test('an image whose /proc is a link is refused', async () => {
      const layer = await machine.layer('proc-link', {})
      symlinkSync('/etc', join(layer, 'proc'))
      const { error } = await machine.run({ run: ['/bin/true'], layers: [layer] })
      expect(error).toMatchObject({ message: expect.stringContaining('/proc') })
    })

    test('nothing can be mounted over the root or into /proc', async () => {
      const source = await machine.ownDirectory('any')
      for (const target of ['/', '/x/..', '/proc', '/proc/sys', '/a/../proc/1']) {
        expect((await machine.run({ run: 'true', mounts: [bind(source, target)] })).error?.code).toBe(
          'OCI_RUNTIME_MOUNT',
        )
      }
    })

    test('a directory for a file, and a file for a directory, are refused by name', async () => {
      const source = await machine.layer('kinds', { file: 'x' })
      expect((await machine.run({ run: 'true', mounts: [bind(source, '/etc/passwd')] })).error?.message).toContain(
        'mount target /etc/passwd: not a directory',
      )
      expect(
        (await machine.run({ run: 'true', mounts: [bind(join(source, 'file'), '/etc')] })).error?.message,
      ).toContain('mount target /etc: illegal operation on a directory')
    })

    test("devices in a layer or a bound directory do not open where root is not the host's; the step's own /dev does", async () => {
      if (who === 'root') return // devices.test.ts
      const layer = await machine.layer('devices', {})
      execFileSync('mknod', ['-m', '666', join(layer, 'zero'), 'c', '1', '5'])
      const { stdout } = await machine.run({
        run: 'head -c1 /zero 2>&1 >/dev/null | grep -o "Permission denied"; head -c1 /b/zero 2>&1 >/dev/null | grep -o "Permission denied"; head -c1 /dev/zero | wc -c',
        layers: [layer],
        mounts: [bind(layer, '/b')],
      })
      expect(stdout).toBe('Permission denied\nPermission denied\n1\n')
    })

    test('a target with spaces and letters beyond ASCII is one target', async () => {
      const source = await machine.layer('näme', { file: 'x' })
      expect((await machine.run({ run: 'cat "/a b/çé/file"', mounts: [bind(source, '/a b/çé')] })).stdout).toBe('x')
    })

    test('mount points of ended steps do not pile up', async () => {
      const state = join(machine.directory.path, 'own', 'state')
      const [own] = readdirSync(state)
      expect(readdirSync(join(state, own!)).toSorted()).toEqual(['base', 'empty', 'empty2', 'root', 'stage'])
      writeFileSync(join(machine.directory.path, 'done'), '')
      mkdirSync(join(machine.directory.path, 'done-too'))
      expect(statSync(join(state, own!)).mode & 0o777).toBe(0o700)
    })
  })
}
