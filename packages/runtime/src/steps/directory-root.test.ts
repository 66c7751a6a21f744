import { lstatSync, readdirSync, readFileSync, symlinkSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'
import type { StepMount } from './types.ts'

for (const who of ['root', 'subordinate', 'single'] as const satisfies readonly Who[]) {
  describeWith(requirementsOf[who], `a step whose root is a plain directory (${who})`, () => {
    let machine: Machine
    let count = 0
    beforeAll(async () => {
      machine = await startMachine(who)
    })
    afterAll(async () => machine[Symbol.asyncDispose]())

    /** A busybox root that the machine's user owns, with files of its own. */
    const makeRoot = async (files: Readonly<Record<string, string>> = {}): Promise<string> => {
      const root = await machine.layer(`root-${++count}`, files)
      await checkTool('cp', ['-a', `${machine.rootfs}/.`, root])
      return root
    }
    const bind = (hostPath: string, target: string): StepMount => ({
      source: { kind: 'bind', hostPath },
      target,
      readonly: false,
    })

    test('what it writes, changes and removes is so in the directory', async () => {
      const root = await makeRoot({ 'a/old': 'old', 'a/gone': 'gone' })
      const { stdout } = await machine.run({
        directoryRoot: root,
        run: 'echo new > /a/new; chmod 700 /a/old; rm /a/gone; cat /proc/self/comm; ls /dev/null; cat /etc/hostname 2>&1',
      })
      expect(stdout).toMatch(/^cat\n\/dev\/null\n/)
      expect(readdirSync(join(root, 'a')).sort()).toEqual(['new', 'old'])
      expect(lstatSync(join(root, 'a/old')).mode & 0o777).toBe(0o700)
    })

    test('mount points that it lacks are gone when it has ended, and the directories above keep their times', async () => {
      const root = await makeRoot({ 'var/': '' })
      const cache = await machine.ownDirectory('cache')
      const names = () => [...readdirSync(root), ...readdirSync(join(root, 'var'))].sort()
      const before = names()
      const times = () => ['.', 'var'].map((name) => lstatSync(join(root, name)).mtimeMs)
      const timesBefore = times()
      const { stdout } = await machine.run({
        directoryRoot: root,
        run: 'echo kept > /var/cache/app/file; cat /etc/hosts | head -n 1; ls -d /sys/kernel',
        mounts: [bind(cache, '/var/cache/app')],
      })
      expect(stdout).toMatch(/localhost testhost\n\/sys\/kernel\n$/)
      expect(readFileSync(join(cache, 'file'), 'utf8')).toBe('kept\n')
      expect(names()).toEqual(before)
      expect(times()).toEqual(timesBefore)
    })

    test('a directory that was made for a mount stays where the step wrote into it', async () => {
      const root = await makeRoot()
      const cache = await machine.ownDirectory('cache')
      await machine.run({
        directoryRoot: root,
        run: 'sleep 0.05; echo log > /opt/app/log',
        mounts: [bind(cache, '/opt/app/cache')],
      })
      expect(readdirSync(join(root, 'opt/app'))).toEqual(['log'])
    })

    test('a mount below another one is made in that, and leaves nothing in the directory', async () => {
      const root = await makeRoot()
      const [outer, inner] = [await machine.ownDirectory('outer'), await machine.ownDirectory('inner')]
      const { stdout } = await machine.run({
        directoryRoot: root,
        run: 'echo x > /m/n/file; find /m -type f',
        mounts: [bind(outer, '/m'), bind(inner, '/m/n')],
      })
      expect(stdout).toBe('/m/n/file\n')
      expect(readdirSync(root)).not.toContain('m')
      expect(readdirSync(inner)).toEqual(['file'])
    })

    test('no link of it leads a mount outside', async () => {
      const root = await makeRoot()
      const outside = await machine.ownDirectory(`outside-${count}`)
      symlinkSync(outside, join(root, 'way'))
      const cache = await machine.ownDirectory('cache')
      await machine.run({ directoryRoot: root, run: 'touch /way/made/file', mounts: [bind(cache, '/way/made')] })
      expect(readdirSync(outside)).toEqual([])
    })

    test('a link that takes the place of a mount point above leads no removal outside', async () => {
      const root = await makeRoot()
      const outside = await machine.ownDirectory(`outside-${count}`)
      mkdirSync(join(outside, 'cache'))
      const cache = await machine.ownDirectory('cache')
      await machine.run({
        directoryRoot: root,
        run: `mv /opt/app /opt/moved 2>&1 || true; rm -rf /opt/app; ln -s ${outside} /opt/app`,
        mounts: [bind(cache, '/opt/app/cache')],
      })
      expect(readdirSync(outside)).toEqual(['cache'])
    })

    test('a link in the place of /proc is refused', async () => {
      const root = await makeRoot()
      const cut = readdirSync(root).includes('proc')
      if (cut) await checkTool('rm', ['-r', join(root, 'proc')])
      symlinkSync('/etc', join(root, 'proc'))
      const { error } = await machine.run({ directoryRoot: root, run: 'true' })
      expect(error).toMatchObject({ message: expect.stringContaining('/proc') })
    })
  })
}
