import { chmodSync, copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

const watched = fileURLToPath(new URL('../testing/watched.c', import.meta.url))
const attacker = fileURLToPath(new URL('../testing/attack-supervisor.c', import.meta.url))

interface User {
  readonly uid?: number
  readonly gid?: number
  readonly groups?: readonly number[]
}

// Expected values: what chown(2), credentials(7), execve(2) and mknod(2) say of a process with these ids.
describeWith([...requirementsOf.single, 'cc'], 'the owners of a step that has one user id', () => {
  let machine: Machine
  /** Holds the program `attack`. */
  let attackLayer: string
  beforeAll(async () => {
    machine = await startMachine('single')
    attackLayer = await machine.layer('attack-layer', {})
    const program = machine.directory.join('attack')
    await checkTool('cc', ['-static', '-O1', '-w', '-pthread', '-o', program, attacker])
    copyFileSync(program, join(attackLayer, 'attack'))
    chmodSync(join(attackLayer, 'attack'), 0o755)
  })
  afterAll(async () => machine[Symbol.asyncDispose]())

  async function lines(run: string, user: User = {}, layers: readonly string[] = []): Promise<string[]> {
    const { stdout, stderr, error } = await machine.run({ run, layers, ...user })
    expect({ stderr, error }).toEqual({ stderr: '', error: undefined })
    return stdout.trim().split('\n')
  }

  test('a file is given away, and shows it by name, descriptor and through a link', async () => {
    expect(
      await lines(
        `echo > /f; mkdir /d; ln -s f /l; chown 1000:1001 /f; chown 5:6 /d; chown -h 7:8 /l
        stat -c %u:%g /f; stat -c %u:%g /d; stat -c %u:%g /l; stat -L -c %u:%g /l; cd /d; stat -c %u:%g .; chown :9 .; stat -c %u:%g .`,
      ),
    ).toEqual(['1000:1001', '5:6', '7:8', '1000:1001', '5:6', '5:9'])
  })

  test('an owner goes along with renames and hard links, and ends with the file', async () => {
    expect(
      await lines(
        `echo > /a; chown 7:8 /a; ln /a /b; mv /a /c; stat -c %u:%g /b; stat -c %u:%g /c
        ln -s x /s; chown -h 7:8 /s; mv /s /t; stat -c %u:%g /t; rm /b /c; echo > /a; stat -c %u:%g /a`,
      ),
    ).toEqual(['7:8', '7:8', '7:8', '0:0'])
  })

  test('chown takes set-id bits away, as the kernel does', async () => {
    expect(await lines('echo > /f; chmod 6755 /f; chown 5:5 /f; stat -c %a /f')).toEqual(['755'])
  })

  test('what another user makes is its own, with its umask; it gives nothing away', async () => {
    const user = { uid: 1000, gid: 1001, groups: [1001, 44] }
    expect(
      await lines(
        `id -u; id -g; id -G; umask 027; echo > /f; mkdir /d; ln -s f /l; mkfifo /p
        for i in /f /d /l /p; do stat -c '%u:%g %a' $i; done; chown 0 /f 2>&1; chown 1000:44 /f && stat -c %u:%g /f; chown :45 /f 2>&1; chown :44 /etc 2>&1 | grep -c permitted; mknod /n c 1 3 2>&1 | grep -c permitted`,
        user,
      ),
    ).toEqual([
      '1000',
      '1001',
      '1001 44',
      '1000:1001 640',
      '1000:1001 750',
      '1000:1001 777',
      '1000:1001 640',
      'chown: /f: Operation not permitted',
      '1000:44',
      'chown: /f: Operation not permitted',
      '1',
      '1',
    ])
  })

  test('a set-group-id directory gives its group to what is made in it', async () => {
    expect(
      await lines(
        'mkdir /g; chown :77 /g; chmod 2775 /g; echo > /g/f; mkdir /g/d; echo > /g/d/f; stat -c %u:%g /g/f; stat -c "%u:%g %a" /g/d; stat -c %u:%g /g/d/f',
      ),
    ).toEqual(['0:77', '0:77 2755', '0:77'])
  })

  test('a device is one to stat, for any of its names, and an empty file on the disk', async () => {
    const { stdout, upper } = await machine.run({
      run: 'mknod /n b 7 300; chown 5:6 /n; ln /n /m; stat -c "%F %t:%T %u:%g" /n; stat -c %F /m; mknod /w c 0 0 || echo refused',
    })
    expect(stdout).toBe('block special file 7:12c 5:6\nblock special file\nrefused\n')
    expect(readdirSync(upper)).toEqual(['m', 'n'])
  })

  test('ids follow fork, also where the parent has ended, and a lost one does not come back', async () => {
    expect(
      await lines(
        `echo bob:x:1000:1001::/:/bin/sh >> /etc/passwd; echo root::0:0::/:/bin/sh > /dev/null
        su bob -c '(sleep 0.3; id -u > /late) & true'; sleep 0.6; cat /late; stat -c %u:%g /late; su bob -c 'su root -c id' 2>&1 | grep -c "root\\|password\\|suid"; id -u`,
      ),
    ).toEqual(['1000', '1000:1001', '1', '0'])
  })

  test('a path in a changed root leads where it does for the process', async () => {
    expect(
      await lines(
        `mkdir -p /c/bin /c/x /x; cp /bin/busybox /c/bin; ln -s /x /c/y; chown 7:8 /c/x; chown 1:1 /x
        chroot /c /bin/busybox sh -c 'busybox stat -c %u:%g /x; busybox stat -L -c %u:%g /y; busybox chown 9:10 /y; cd /bin; busybox stat -c %u:%g ../../x'
        stat -c %u:%g /c/x; stat -c %u:%g /x`,
      ),
    ).toEqual(['7:8', '7:8', '9:10', '9:10', '1:1'])
  })

  test('a set-id program is its owner and group, and no script is', async () => {
    expect(
      await lines(
        `cp /attack /asroot; chmod 4755 /asroot; cp /attack /asboth; chown 7:8 /asboth; chmod 6755 /asboth
        printf '#!/bin/sh\\n/attack\\n' > /script; chmod 4755 /script
        echo bob:x:1000:1001::/:/bin/sh >> /etc/passwd
        su bob -c '/asroot; /asboth; /script; /attack'; /asboth`,
        {},
        [attackLayer],
      ),
    ).toEqual(['1000 0 1001', '1000 7 8', '1000 1000 1001', '1000 1000 1001', '0 7 8'])
  })

  test('what carries the emulation is not seen: no attribute in a list, no limit', async () => {
    expect(
      await lines(
        'echo > /f; chown 5:6 /f; cp -a /f /g; chown 7:8 /f; stat -c %u:%g /g; sh -c "ulimit -a" | grep -ci "file locks.*unlimited"',
      ),
    ).toEqual(['5:6', '1'])
  })

  test('a file is the same by the links of /proc that a process has of its own, and nothing else is reached by them', async () => {
    expect(
      await lines(
        `echo > /f; chown 7:8 /f; mkdir /d; chown 3:4 /d; cd /d
        stat -L -c %u:%g /proc/self/fd/0 < /f; stat -L -c %u:%g /dev/fd/0 < /f; stat -L -c %u:%g /dev/stdin < /f; stat -c %u:%g /dev/stdin < /f
        stat -L -c %u:%g /proc/self/cwd; stat -c %u:%g /proc/self/cwd/../f; stat -c %u:%g /proc/thread-self/root/f; chown 9:10 /proc/self/fd/0 < /f; stat -c %u:%g /f
        for i in /proc/self/fd/cwd /proc/self/../0/cwd /proc/self/cwdx /proc/self/fd/0/../../1/cwd /dev/fd/../../1/cwd; do chown 1:1 $i 2> /dev/null < / || echo none; done; stat -c %u:%g . /`,
      ),
    ).toEqual([
      '7:8',
      '7:8',
      '7:8',
      '0:0',
      '3:4',
      '7:8',
      '7:8',
      '9:10',
      'none',
      'none',
      'none',
      'none',
      'none',
      '3:4',
      '0:0',
    ])
  })

  test('what is made through a link that led to nothing is its maker’s, and the link is left alone', async () => {
    expect(
      await lines(
        `chmod 777 /tmp; cd /tmp; mkdir d; ln -s d/t l; ln -s /tmp/l m; echo > m; stat -c '%u:%g %F' d/t; stat -c %F l; ln -s /proc/self/fd/1 out; echo shown > out
        ln -s loop loop; (echo > loop) 2>&1 | grep -c levels; ln -s no/such n; (echo > n) 2>&1 | grep -c nonexistent`,
        { uid: 1000, gid: 1001 },
      ),
    ).toEqual(['1000:1001 regular file', 'symbolic link', 'shown', '1', '1'])
  })

  test('the end of a child fails no call, where its handler restarts none: shells do not expect it', async () => {
    expect(await lines('/attack chld', { uid: 1000, gid: 1000 }, [attackLayer])).toEqual(['interrupted=0'])
  })

  test('what many make in turns, as locks, is its maker’s each time', async () => {
    const run = ['/attack', 'lock']
    await machine.run({ run: 'chmod 1777 /tmp' })
    const { stdout } = await machine.run({ run, layers: [attackLayer], uid: 1000, gid: 1000 })
    expect(stdout).toBe('others=0\n')
  }, 60_000)

  test('a set-id program that another user traces stays that user’s', async () => {
    expect(
      await lines(
        `cp /attack /asroot; chmod 4755 /asroot; echo bob:x:1000:1001::/:/bin/sh >> /etc/passwd; su bob -c '/asroot; /attack /asroot'; /attack /asroot`,
        {},
        [attackLayer],
      ),
    ).toEqual(['1000 0 1001', '1000 1000 1001', '0 0 0'])
  })

  test('a step of which the calls are watched already is refused, with what to do', async () => {
    const program = machine.directory.join('watched')
    await checkTool('cc', ['-O1', '-o', program, watched])
    await using inner = await startMachine('single', { wrapper: [program] })
    const { error } = await inner.run({ run: 'true' })
    expect(error).toMatchObject({ message: expect.stringMatching(/watched already.*subordinate ids/) })
  })

  test('a hostile step neither ends it nor hangs it, and what it says stays right', async () => {
    const seed = process.env['SUPERVISOR_SEED'] ?? String(Date.now() % 100_000)
    const seconds = process.env['SUPERVISOR_SECONDS'] ?? '3'
    const { stdout, error } = await machine.run({ run: ['/attack', seed, seconds], layers: [attackLayer] })
    expect({ seed, error, stdout }).toEqual({
      seed,
      error: undefined,
      stdout: 'exhausted=1\nowner=1234:5678\nids=0:0\nlimit=1\n',
    })
  }, 120_000)
})
