import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { open, truncate, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  describeWith,
  listProcesses,
  makeBusyboxBase,
  mountsNaming,
  pushBase,
  type Registry,
  startFaultyProxy,
  startRegistry,
  temporaryDirectory,
  type TemporaryDirectory,
  until,
} from '@ts-oci/testing'
import { environmentOf, tsbuild, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

/** Written and hashed in no second by any machine. */
const LARGE_BYTES = 1_200_000_000

describeWith(['root', 'docker-registry', 'skopeo', 'busybox', 'tar'], 'a signal', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let base: string
  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    base = await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    await tsbuild(directory, ['pull', '-q', base])
  })
  afterAll(async () => {
    await registry?.stop()
    await directory?.[Symbol.asyncDispose]()
  })

  /** Starts the command; resolves when it has said what `pattern` matches. */
  async function startUntil(
    args: readonly string[],
    pattern: RegExp,
    nodeFlags: readonly string[] = [],
  ): Promise<ChildProcess> {
    const child = spawn(process.execPath, [...nodeFlags, tsbuildPath, ...args], {
      cwd: directory.path,
      env: environmentOf(directory),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (pattern.test(said)) resolve()
      })
      child.once('exit', () => reject(new Error(said)))
    })
    return child
  }

  async function expectStop(child: ChildProcess, signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): Promise<void> {
    const ended = once(child, 'exit')
    const startMs = Date.now()
    child.kill(signal)
    const [status] = (await ended) as [number | null]
    const tookMs = Date.now() - startMs
    expect(status).toBe({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal])
    expect(tookMs).toBeLessThan(1000)
    const store = directory.join('store')
    const remains = (): unknown[] => [
      ...listProcesses().filter(({ command }) => command.includes(store)),
      ...mountsNaming(store),
    ]
    await until(() => remains().length === 0, 1000, remains)
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s while a step sleeps', async (signal) => {
    const context = await writeContext(directory, {
      Dockerfile: `FROM ${base}\nRUN trap '' TERM INT; echo started; sleep 4712\n`,
    })
    await expectStop(await startUntil(['--progress=plain', context], /^#\d+ [\d.]+ started$/m), signal)
    expect(listProcesses().filter(({ command }) => command.includes('sleep 4712'))).toEqual([])
  })

  // From then on the main thread reads no signal: as in a matcher without end, or a file of a dead server.
  const busy = `--import=data:text/javascript,${encodeURIComponent(
    "setTimeout(() => { process.stderr.write('busy\\n'); for (;;); }, 1500)",
  )}`

  test.each([
    ['the second', 2, 500],
    ['the first, a while later,', 1, 4000],
  ])('%s signal ends a process whose main thread is busy', async (_, count, withinMs) => {
    const context = await writeContext(directory, { Dockerfile: `FROM ${base}\nRUN sleep 4713\n` })
    const child = await startUntil(['--progress=plain', context], /^busy$/m, [busy])
    const ended = once(child, 'exit')
    const startMs = Date.now()
    for (let sent = 0; sent < count; sent++) {
      child.kill('SIGTERM')
      await delay(50)
    }
    expect(await ended).toEqual([143, null])
    expect(Date.now() - startMs).toBeLessThan(withinMs)
    const store = directory.join('store')
    const remains = (): unknown[] => [
      ...listProcesses().filter(({ command }) => command.includes(store) || command.includes('sleep 4713')),
      ...mountsNaming(store),
    ]
    await until(() => remains().length === 0, 1000, remains)
  })

  test('while steps of several stages run and write', async () => {
    const stage = (name: string): string =>
      `FROM ${base} AS ${name}\nRUN echo started-${name}; while :; do head -c 10000 /dev/zero >> /x; sleep 0.01; done\n`
    const text = `${stage('a')}${stage('b')}FROM scratch\nCOPY --from=a /x /a\nCOPY --from=b /x /b\n`
    const context = await writeContext(directory, { Dockerfile: text })
    const child = await startUntil(['--progress=plain', context], /started-[ab]$/m)
    // The display shows one of them for a while; the other one has begun too.
    await until(
      () =>
        listProcesses().filter(({ command }) => command.includes('echo started-') && command.startsWith('/bin/sh'))
          .length === 2,
    )
    await expectStop(child, 'SIGINT')
  })

  test('while a large file is hashed, packed or written to a tree', async () => {
    const context = await writeContext(directory, {
      Dockerfile: `FROM ${base}\nCOPY large /\n`,
      'tree.Dockerfile': `FROM ${base}\nCOPY large /\nRUN true\n`,
      large: '',
    })
    for (const [index, file] of ['Dockerfile', 'Dockerfile', 'tree.Dockerfile'].entries()) {
      // Sparse, and another file each time: what was hashed before is known.
      await truncate(`${context}/large`, LARGE_BYTES + index)
      const child = await startUntil(['--progress=plain', '-f', `${context}/${file}`, context], /COPY large/)
      if (index > 0) await untilWriting(child)
      else await delay(200)
      await expectStop(child, 'SIGINT')
      await tsbuild(directory, ['images'])
      expect(readdirSync(directory.join('store/tmp'))).toEqual([])
    }
    await truncate(`${context}/large`, 0)
  })

  /** Hashing is over when the first bytes of a layer are below the store. */
  async function untilWriting(child: ChildProcess): Promise<void> {
    const isWriting = (): boolean => readdirSync(directory.join('store/tmp')).some((name) => /pack|tree/.test(name))
    await until(() => isWriting() || child.exitCode !== null, 30_000)
    await delay(300)
  }

  test('while layers are compressed and exported', async () => {
    const context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY noise /\n', noise: '' })
    const file = await open(`${context}/noise`, 'w')
    const random = await open('/dev/urandom')
    const buffer = Buffer.alloc(1_000_000)
    for (let count = 0; count < 400; count++) {
      if (count < 10) await random.read(buffer)
      await file.write(buffer)
    }
    await random.close()
    await file.close()
    await tsbuild(directory, ['-q', context])
    const dest = directory.join('out.tar')
    const child = await startUntil(
      [
        '--progress=plain',
        '-o',
        `type=oci,dest=${dest},compression=zstd,compression-level=19,force-compression=true`,
        context,
      ],
      /exporting layers/,
    )
    await delay(300)
    await expectStop(child, 'SIGINT')
    expect(existsSync(dest)).toBe(false)
    expect(readdirSync(directory.path).filter((name) => name.includes('out.tar'))).toEqual([])
    // What it had no time for, the next start does.
    await tsbuild(directory, ['images'])
    expect(readdirSync(directory.join('store/tmp'))).toEqual([])
  })

  test.each(['pull', 'push'])('while a registry keeps a %s waiting', async (command) => {
    let waiting: () => void = () => undefined
    const isWaiting = new Promise<void>((resolve) => (waiting = resolve))
    await using proxy = await startFaultyProxy(registry.host, ({ method, path }) => {
      const isBlob = path.includes('/blobs/') && (command === 'push' ? method !== 'HEAD' : method === 'GET')
      if (isBlob) waiting()
      return isBlob ? { cutResponseAfter: 10, delayMs: 60_000 } : undefined
    })
    const name = `${proxy.host}/busybox:1`
    if (command === 'push') await tsbuild(directory, ['tag', base, `${proxy.host}/other:1`])
    const child = spawn(process.execPath, [tsbuildPath, command, command === 'push' ? `${proxy.host}/other:1` : name], {
      env: {
        ...environmentOf(directory),
        TSBUILD_HOME: command === 'push' ? directory.join('store') : directory.join('store-pull'),
      },
      stdio: 'ignore',
    })
    await isWaiting
    await expectStop(child, 'SIGINT')
  })

  test('the store is as good as before', async () => {
    const context = await writeContext(directory, { Dockerfile: `FROM ${base}\nRUN echo ok\n` })
    await writeFile(`${context}/noise`, '')
    expect((await tsbuild(directory, ['-q', context])).status).toBe(0)
    expect(readdirSync(directory.join('store/tmp'))).toEqual([])
  })
})
