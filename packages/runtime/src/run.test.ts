import { rmSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  makeBusyboxRoot,
  nodeFlags,
  temporaryDirectory,
  until,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { run, type RunningProcess, type RunOptions } from './run.ts'

describeWith(['root', 'busybox', 'tar'], 'run', () => {
  let directory: TemporaryDirectory
  let root: string
  beforeAll(async () => {
    directory = await temporaryDirectory()
    root = directory.join('root')
    await makeBusyboxRoot(root)
  })
  afterAll(async () => {
    await directory?.[Symbol.asyncDispose]()
  })

  const shell = (script: string, options: Partial<RunOptions> = {}): RunningProcess =>
    run(root, { args: ['/bin/sh', '-c', script], ...options })

  describe.each(['namespace', 'chroot'] as const)('in isolation %s', (isolation) => {
    test('both streams come apart, and the exit code as it is', async () => {
      await using process = shell('echo out; echo err >&2; exit 3', { isolation })
      const [out, err, exit] = await Promise.all([text(process.stdout), text(process.stderr), process.exited])
      expect([out, err.replace(/^isolation.*\n/, ''), exit]).toEqual([
        'out\n',
        'err\n',
        { exitCode: 3, oomKilled: false },
      ])
    })

    test('what is written to its input arrives whole, and the end of it', async () => {
      await using process = shell('cat | wc -c', { isolation })
      Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(100_000, 'x'))).pipe(process.stdin!)
      process.stderr.resume()
      expect((await text(process.stdout)).trim()).toBe('5000000')
    })

    test('without input it reads nothing', async () => {
      await using process = shell('cat; echo end', { isolation, stdin: false })
      expect(process.stdin).toBeUndefined()
      process.stderr.resume()
      expect(await text(process.stdout)).toBe('end\n')
    })

    test('SIGKILL ends it, and nothing is left', async () => {
      await using process = shell('echo on; sleep 1000', { isolation })
      process.stdout.once('data', () => process.kill('SIGKILL'))
      process.stderr.resume()
      expect(await process.exited).toMatchObject({ signal: 'SIGKILL', exitCode: 137 })
    })
  })

  test('input that it closes early is an EPIPE, as of a child process', async () => {
    await using process = shell('exec <&-; echo closed; sleep 1000')
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => process.stdin!.on('error', resolve))
    process.stdout.once('data', () => process.stdin!.write(Buffer.alloc(200_000)))
    expect(await failed).toMatchObject({ code: 'EPIPE' })
  })

  test('many at once share a root that lacks what is mounted in it: none takes that from another', async () => {
    const bare = directory.join('bare')
    await makeBusyboxRoot(bare)
    await checkTool('sh', ['-c', `cd ${bare} && rm -rf proc sys dev etc/hosts`])
    const wait = (index: number) =>
      `usleep ${(index % 7) * 20000}; [ -e /proc/self/exe ] && [ -c /dev/null ] && exit 42`
    const ends = Array.from({ length: 40 }, async (_, index) => {
      const process = run(bare, { args: ['/bin/sh', '-c', wait(index)], network: 'none', stdin: false })
      for (const stream of [process.stdout, process.stderr]) stream.resume()
      return await process.exited.then(({ exitCode }) => exitCode, String)
    })
    expect(new Set(await Promise.all(ends))).toEqual(new Set([42]))
  })

  test('in isolation chroot a root that another process has is refused by name, and stays as it is', async () => {
    const before = await checkTool('find', [root])
    const first = shell('echo on; read line; echo $line', { isolation: 'chroot' })
    await once(first.stdout, 'readable')
    await using second = shell('exit 0', { isolation: 'chroot' })
    await expect(second.exited).rejects.toMatchObject({
      code: 'OCI_RUNTIME_STEP_START',
      message: expect.stringContaining('one process at a time'),
    })
    first.stdin!.end('still here\n')
    expect(await text(first.stdout)).toBe('on\nstill here\n')
    expect(await first.exited).toMatchObject({ exitCode: 0 })
    expect(await checkTool('find', [root])).toBe(before)
    await using third = shell('exit 5', { isolation: 'chroot' })
    expect(await third.exited).toMatchObject({ exitCode: 5 })
  })

  test('a signal reaches the handler of its command', async () => {
    await using process = shell('trap "echo got; exit 7" TERM; echo on; while :; do sleep 0.05; done')
    process.stdout.once('data', () => process.kill())
    const [out, exit] = await Promise.all([text(process.stdout), process.exited])
    expect([out, exit.exitCode]).toEqual(['on\ngot\n', 7])
  })

  test('it has the environment, directory, user, host name and mounts that it is given, and none of ours', async () => {
    await using process = shell('env | sort; pwd; id -u; hostname; cat /secret; echo', {
      env: { A: '1', PATH: '/bin' },
      cwd: '/made/here',
      user: { uid: 5, gid: 6 },
      hostname: 'inside',
      network: 'none',
      mounts: [
        {
          target: '/secret',
          readonly: true,
          source: { kind: 'secret', content: Buffer.from('hidden'), uid: 5, gid: 6, mode: 0o400 },
        },
      ],
    })
    const variables = ['A=1', 'HOME=/', 'PATH=/bin', 'PWD=/made/here', 'SHLVL=1']
    const lines = [...variables, '/made/here', '5', 'inside', 'hidden', '']
    expect(await text(process.stdout)).toBe(lines.join('\n'))
    rmSync(`${root}/made`, { recursive: true })
  })

  test('a terminal is one: its name, its size, what is typed, and a signal of the keyboard', async () => {
    await using process = shell(
      'tty; stty size; trap "echo interrupted" INT; read line; echo "line: $line"; while ! stty size | grep -q "40 90"; do sleep 0.05; done; stty size; read x || echo ended',
      { terminal: { columns: 100, rows: 30 }, user: { uid: 5, gid: 6 } },
    )
    let shown = ''
    process.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
    await until(() => shown.includes('30 100'))
    process.stdin!.write('hello\n')
    await until(() => shown.includes('line: hello'))
    process.resize({ columns: 90, rows: 40 })
    await until(() => shown.includes('40 90'))
    process.stdin!.write('\u0003')
    await until(() => shown.includes('interrupted'))
    process.stdin!.end()
    expect(await process.exited).toMatchObject({ exitCode: 0 })
    expect(shown.split('\r\n')[0]).toBe('/dev/pts/0')
    expect(shown).toContain('ended')
  })

  test('what a terminal showed last is not lost', async () => {
    for (let round = 0; round < 10; round++) {
      await using process = shell('head -c 3000 /dev/zero | tr "\\0" x; echo; echo last', { terminal: true })
      const shown = await text(process.stdout)
      expect([shown.length, shown.slice(-6)]).toEqual([3000 + 2 + 6, 'last\r\n'])
    }
  })

  test('who does not read holds it up, and loses nothing', async () => {
    await using process = shell('head -c 20000000 /dev/zero; echo done >&2')
    let isDone = false
    process.stderr.once('data', () => (isDone = true))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(isDone).toBe(false)
    let bytes = 0
    for await (const chunk of process.stdout) bytes += (chunk as Buffer).length
    expect(bytes).toBe(20_000_000)
    expect(await process.exited).toMatchObject({ exitCode: 0 })
  })

  test('host-gateway is this machine, as the process reaches it', async () => {
    const server = createServer((socket) => socket.end('machine\n')).listen(0, '0.0.0.0')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    try {
      for (const network of ['host', 'default'] as const) {
        await using process = shell(`nc gw ${port}`, { network, extraHosts: [['host-gateway', 'gw']], stdin: false })
        expect([network, await text(process.stdout)]).toEqual([network, 'machine\n'])
      }
    } finally {
      server.close()
    }
  })

  test('input that is destroyed is closed: the process reads its end', async () => {
    await using process = shell('cat; echo ended')
    process.stdin!.destroy()
    expect(await text(process.stdout)).toBe('ended\n')
  })

  test('an output that is destroyed while it is full holds the other one up no longer', async () => {
    await using process = shell('head -c 3000000 /dev/zero; echo done >&2')
    await until(() => process.stdout.readableLength >= process.stdout.readableHighWaterMark)
    process.stdout.destroy()
    expect(await text(process.stderr)).toBe('done\n')
    expect(await process.exited).toMatchObject({ exitCode: 0 })
  })

  test.each([
    { columns: -1, rows: 1 },
    { columns: Number.NaN, rows: 1 },
    { columns: 1, rows: 65_536 },
  ])('a terminal of size %j is refused, before and after it is there', async (size) => {
    const refused = expect.objectContaining({ code: 'OCI_RUNTIME_UNSUPPORTED' })
    expect(() => shell('exit 0', { terminal: size })).toThrow(refused)
    await using process = shell('sleep 0.1', { terminal: true })
    expect(() => process.resize(size)).toThrow(refused)
  })

  test.each([-1, 1.5, Number.NaN, 2 ** 32])('user %d is no user, and root least of all', async (uid) => {
    for (const user of [
      { uid, gid: 0 },
      { uid: 0, gid: uid },
    ])
      await expect(shell('exit 0', { user }).exited).rejects.toMatchObject({ code: 'OCI_RUNTIME_ID_UNAVAILABLE' })
  })

  test('an aborted one is canceled', async () => {
    const controller = new AbortController()
    await using process = shell('echo on; sleep 1000', { signal: controller.signal })
    process.stdout.once('data', () => controller.abort())
    await expect(process.exited).rejects.toMatchObject({ code: 'OCI_RUNTIME_CANCELED' })
  })

  test('a command that is not there is an exit that says so', async () => {
    await using process = run(root, { args: ['/no/command'] })
    expect(await process.exited).toMatchObject({ exitCode: 127, startError: { errno: 'ENOENT' } })
  })

  test('what cannot be is refused by name', async () => {
    expect(() => run(`${root}/bin/busybox`, { args: ['x'] })).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_STEP_START' }),
    )
    await symlink('loop', directory.join('loop'))
    expect(() => run(directory.join('loop'), { args: ['x'] })).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_STEP_START' }),
    )
    await using plain = shell('exit 0')
    expect(() => plain.kill('SIGNONE' as NodeJS.Signals)).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_UNSUPPORTED' }),
    )
    expect(() => plain.resize({ columns: 1, rows: 1 })).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_UNSUPPORTED' }),
    )
    await using terminal = shell('exit 0', { isolation: 'chroot', terminal: true })
    await expect(terminal.exited).rejects.toMatchObject({
      message: expect.stringContaining('isolation chroot has none'),
    })
  })

  test.each<[string, object, string]>([
    ['an option that is misspelt', { netwrok: 'none' }, 'unknown option "netwrok"'],
    ['a limit as a config.json has it', { resources: { memory: { limit: 1 } } }, 'unknown limit "memory"'],
  ])('%s is refused, not ignored', (_, options, message) => {
    expect(() => run(root, { args: ['x'], ...options })).toThrow(
      expect.objectContaining({ code: 'OCI_RUNTIME_UNSUPPORTED', message }),
    )
  })

  test('the example of the README prints what it says', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    const example = [...readme.matchAll(/```ts\n(.*?)```/gs)]
      .map(([, code]) => code!)
      .find((code) => code.includes('run('))!
    await using project = await temporaryDirectory()
    await mkdir(project.join('node_modules/@ts-oci'), { recursive: true })
    await symlink(fileURLToPath(new URL('..', import.meta.url)), project.join('node_modules/@ts-oci/runtime'))
    await symlink(root, project.join('rootfs'))
    await writeFile(project.join('example.ts'), example)
    const said = await checkTool(process.execPath, [...nodeFlags, 'example.ts'], { cwd: project.path })
    const printed = [...example.matchAll(/\/\/ prints: (.*)/g)].map(([, line]) => line)
    expect(said.trim().split('\n')).toEqual(printed)
  })
})
