import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { descendantsOf, describeWith, listProcesses } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { history } from './images.ts'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'

describeWith(buildNeeds, 'a step', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function run(lines: readonly string[], options: BuildOptions = {}): Promise<BuildResult> {
    const context = await world.context('step', { Dockerfile: ['FROM $BASE', ...lines, ''].join('\n') })
    return world.build(context, options)
  }

  test('that needs a shell which its image does not have is told what needs none', async () => {
    await expect(run(['FROM scratch', 'RUN true'])).rejects.toMatchObject({
      message: expect.stringContaining('"/bin/sh -c true" did not complete successfully: exit code: 127'),
      hint: expect.stringContaining('RUN ["/PROGRAM", "ARGUMENT"]'),
    })
    const withoutShell = run(['FROM scratch', 'RUN ["/none"]'])
    await expect(withoutShell).rejects.toMatchObject({ code: 'OCI_STEP_FAILED', hint: undefined })
  })

  // BuildKit (v0.31-dev, tried with network.host) refuses them: it reads the rights that a definition asks for when it loads it.
  test.each([
    ['network.host', '--network=host'],
    ['security.insecure', '--security=insecure'],
  ])('that the cache has is refused all the same without the right that it asks for: %s', async (right, flag) => {
    const lines = [`RUN ${flag} echo ${right}`]
    await run(lines, { allow: [right] })
    await expect(run(lines)).rejects.toMatchObject({
      code: 'OCI_STEP_UNSUPPORTED',
      message: `failed to load LLB: ${right} is not allowed`,
      hint: expect.stringContaining(`--allow ${right}`),
      location: expect.objectContaining({ startLine: 2 }),
    })
    // What no target reaches is not asked for.
    await run([`FROM $BASE AS unused`, ...lines, 'FROM scratch', 'COPY Dockerfile /'])
  })

  test('that leaves daemons behind ends, and they end with it', async () => {
    const startMs = Date.now()
    await run([
      'RUN (setsid sleep 4713 &) ; (setsid sh -c "while :; do sleep 4713; done" > /dev/null 2>&1 &); echo done',
    ])
    expect(Date.now() - startMs).toBeLessThan(15_000)
    expect(listProcesses().filter(({ command }) => command.includes('sleep 4713'))).toEqual([])
  })

  test('that makes directories nobody may read: the next step sees them, and they are in the layer', async () => {
    await run([
      'RUN mkdir -p /secret/deep && echo x > /secret/deep/file && chmod 000 /secret/deep/file /secret/deep /secret',
      'RUN test "$(stat -c %a /secret)" = 0 && cat /secret/deep/file',
      'RUN rm -r /secret',
      'RUN test ! -e /secret',
    ])
  })

  test('that makes device nodes, fifos and sockets: the nodes stay, and a later step uses those of no real device', async () => {
    await run([
      'RUN mknod /null c 1 3 && mknod /disk b 7 0 && mknod /kmsg c 1 11 && mkfifo /fifo',
      'RUN test -c /null && test -b /disk && test -p /fifo && test -c /kmsg',
      'RUN ! (: < /disk) 2> /dev/null && ! (: >> /kmsg) 2> /dev/null',
      // Where no cgroup can be made no node opens at all.
      'RUN mknod /again c 1 3; (: < /again) 2> /dev/null || exit 0; : < /null && echo x > /null',
    ])
  })

  test('has HOME of its user where that is empty', async () => {
    await run([
      'ENV HOME=',
      'RUN test "$HOME" = /root && test $(env | grep -c ^HOME=) = 1',
      'USER 1234',
      'RUN test "$HOME" = /',
      'ENV HOME=/given',
      'RUN test "$HOME" = /given',
    ])
  })

  test('that fills /dev/shm: it is bounded, and the next one has its own', async () => {
    await run([
      'RUN ! dd if=/dev/zero of=/dev/shm/x bs=1M count=100 2> /dev/null; test $(wc -c < /dev/shm/x) = 67108864',
      'RUN test ! -e /dev/shm/x',
    ])
  })

  test('that forks without end is stopped with the build', async () => {
    const stop = new AbortController()
    const building = run(['RUN echo begun; while :; do sleep 1000 & i=$((i+1)); [ $i -lt 300 ] || wait; done'], {
      signal: stop.signal,
      onProgress: (event) => {
        if (event.type === 'log') setTimeout(() => stop.abort(), 300)
      },
    })
    await expect(building).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    expect(descendantsOf(process.pid).filter(({ command }) => command.includes('sleep 1000'))).toEqual([])
  })

  test('that writes 100 MB of output: nothing is lost, and memory does not grow with it', async () => {
    let bytes = 0
    const before = process.memoryUsage().rss
    await run(['RUN head -c 100000000 /dev/zero | tr "\\\\0" x; echo; echo the end >&2'], {
      onProgress: (event) => {
        if (event.type === 'log') bytes += event.data.length
      },
    })
    expect(bytes).toBe(100_000_000 + '\nthe end\n'.length)
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000)
  })

  test('that writes bytes that are no text, and no newline at its end', async () => {
    const chunks: Uint8Array[] = []
    await run(['RUN printf "\\\\377\\\\376\\\\0end"'], {
      onProgress: (event) => void (event.type === 'log' && chunks.push(event.data)),
    })
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([0xff, 0xfe, 0, 0x65, 0x6e, 0x64]))
  })

  test('with thousands of variables', async () => {
    const pairs = Array.from({ length: 3000 }, (_, index) => `V${index}=value-${index}`)
    const lines = pairs.slice(0, 500).map((pair) => `ENV ${pair}`)
    await run(
      [
        ...lines,
        `ENV ${pairs.slice(500).join(' ')}`,
        'RUN test $(env | grep -c ^V) = 3000 && test "$V2999" = value-2999',
      ],
      { tags: ['many'] },
    )
    expect(
      (await history('many', { store: world.store })).filter((row) => row.createdBy.startsWith('ENV')),
    ).toHaveLength(501)
  })

  test('with more in its variables than the kernel takes is an error that says so', async () => {
    await expect(run(['ARG LARGE', 'RUN true'], { buildArgs: { LARGE: 'x'.repeat(200_000) } })).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringMatching(/argument list too long/i),
      location: { startLine: 3 },
    })
  })

  test('with a script as long as the kernel takes, and a longer one', async () => {
    const script = (lines: number): string[] => [
      'RUN <<END',
      ...Array.from({ length: lines }, () => `: ${'y'.repeat(997)}`),
      'END',
    ]
    await run(script(100))
    await expect(run(script(140))).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringMatching(/argument list too long/i),
    })
  })

  test('that removes everything it can still gives a layer', async () => {
    const result = await run(['RUN rm -rf /* 2> /dev/null; true'])
    expect(result.layers.at(-1)!.createdBy).toContain('rm -rf')
  })

  test('that writes over what is mounted leaves it to the next step as it was', async () => {
    await run([
      'RUN echo "1.2.3.4 planted" >> /etc/hosts; echo planted >> /etc/resolv.conf; true',
      'RUN ! grep planted /etc/hosts && ! grep planted /etc/resolv.conf',
    ])
  })

  test('sees nothing of the host: no other process, no store, no variable', async () => {
    process.env['TS_OCI_LEAK'] = 'leaked'
    try {
      await run([
        `RUN test "$(ls /proc | grep -c '^[0-9]')" -lt 6 && ! grep -r ts-oci /proc/self/environ && ! env | grep LEAK && test ! -e ${world.store} && ! mount -t tmpfs none /mnt 2> /dev/null && ! ls /proc/1/root/etc/shadow 2> /dev/null`,
      ])
    } finally {
      delete process.env['TS_OCI_LEAK']
    }
  })
})
