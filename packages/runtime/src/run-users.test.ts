/** `run` by others than root of a machine. */
import { mkdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, makeBusyboxRoot, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import type { RunOptions } from './run.ts'
import { commandOf, requirementsOf, stepRoots, users, type Who } from './testing/machine.test.helper.ts'

const file = fileURLToPath(new URL('testing/run-once.test.helper.ts', import.meta.url))

interface Told {
  readonly stdout: string
  readonly exitCode: number
  readonly code?: string
  readonly message?: string
}

const everybody: readonly Who[] = ['root', 'root-userns', 'container', 'container-userns', 'subordinate', 'single']

for (const who of everybody) {
  describeWith(requirementsOf[who], `run (${who})`, () => {
    let directory: TemporaryDirectory
    let root: string
    const { uid, gid } = users[who]
    const isShifted = who === 'container' || who === 'container-userns' || who === 'root-userns'
    beforeAll(async () => {
      directory = await temporaryDirectory('ts-oci-run-')
      await checkTool('chmod', ['755', directory.path])
      root = directory.join('rootfs')
      mkdirSync(root)
      await makeBusyboxRoot(root)
      const owner = stepRoots[who] ?? uid
      await checkTool('chown', ['-R', `${owner}:${stepRoots[who] ?? gid}`, root])
    })
    afterAll(async () => directory[Symbol.asyncDispose]())

    async function runAs(script: string, more: Partial<RunOptions> = {}, input = ''): Promise<Told> {
      const isolation = who === 'root-userns' ? { isolation: 'rootless' as const } : {}
      const options = { args: ['/bin/sh', '-c', script], network: 'none', ...isolation, ...more }
      const [program = '', ...args] = commandOf(who, directory, file, [root, JSON.stringify(options), input])
      return JSON.parse(await checkTool(program, args)) as Told
    }

    test('what is written to its input arrives, and its end', async () => {
      expect(await runAs('cat; echo end; exit 3', {}, 'hello\n')).toMatchObject({ stdout: 'hello\nend\n', exitCode: 3 })
    })

    test('a terminal is one, of its user, and takes what is typed', async () => {
      // As with Docker, the size comes when the step has begun.
      const script =
        'tty; until stty size 2> /dev/null; do sleep 0.05; done; stat -c %u $(tty); read line; echo "got $line"; (echo shown > /dev/tty); read more || echo ended'
      const { stdout } = await runAs(
        script,
        { terminal: { columns: 91, rows: 23 }, user: { uid: 5, gid: 6 } },
        'typed\n',
      )
      // Owners that are emulated are recorded with the file, and /dev/pts takes no record.
      const owner = who === 'single' ? 0 : 5
      // The terminal echoes what is typed when it comes, which may be before the command says something.
      expect(stdout.replaceAll('\r', '').replace(/^typed\n/m, '')).toBe(
        `/dev/pts/0\n23 91\n${owner}\ngot typed\nshown\nended\n`,
      )
    })

    if (isShifted) {
      test('cannot keep its ids, and says so', async () => {
        expect(await runAs('true', { ids: 'own' })).toMatchObject({ code: 'OCI_RUNTIME_UNSUPPORTED' })
      })
      return
    }

    test('keeps its ids where it wants to, and what it makes is its own outside as well', async () => {
      const { stdout } = await runAs('id -u; id -g; mkdir /made; echo x > /made/file; stat -c "%u %g" /made/file /', {
        ids: 'own',
      })
      expect(stdout).toBe(`${uid}\n${gid}\n${uid} ${gid}\n${uid} ${gid}\n`)
      expect(statSync(`${root}/made/file`)).toMatchObject({ uid, gid })
    })

    if (who === 'subordinate')
      test('beside its own ids root and the others are subordinate ones', async () => {
        // nobody (65534) has 65536 ids from 300000 on: 0 and 7 inside are the first and the eighth of them.
        await runAs('mkdir /open && chmod 777 /open', { ids: 'own' })
        const script =
          'id -u; touch /open/0; touch /open/7; chown 7:8 /open/7; stat -c "%u %g" /open/7; grep CapEff /proc/self/status'
        const { stdout } = await runAs(script, { ids: 'own', user: { uid: 0, gid: 0 } })
        // Docker's default capabilities without a network of the host, for root inside.
        expect(stdout).toMatch(/^0\n7 8\nCapEff:\s00000000a80425fb\n$/)
        expect(statSync(`${root}/open/0`)).toMatchObject({ uid: 300_000, gid: 300_000 })
        expect(statSync(`${root}/open/7`)).toMatchObject({ uid: 300_007, gid: 300_008 })
        const asOwn = await runAs('grep CapEff /proc/self/status', { ids: 'own' })
        expect(asOwn.stdout).toMatch(/^CapEff:\s0{16}\n$/)
      })

    if (who === 'single')
      test('beside its own id there is none', async () => {
        expect(await runAs('true', { ids: 'own', user: { uid: 0, gid: 0 } })).toMatchObject({
          code: 'OCI_RUNTIME_ID_UNAVAILABLE',
          message: expect.stringContaining('there is no user 0 here, only the one of its user'),
        })
      })
  })
}
