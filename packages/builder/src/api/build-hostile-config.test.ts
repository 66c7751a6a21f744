import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  describeWith,
  makeBusyboxRoot,
  pushBase,
  tarOfDirectory,
  writeImageLayout,
  type ImageConfig,
} from '@ts-oci/testing'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { BuildResult } from '../build/public-types.ts'

describeWith(buildNeeds, 'a base image whose config is hostile', () => {
  let world: BuildWorld
  let root: Uint8Array
  let images = 0

  beforeAll(async () => {
    world = await makeBuildWorld()
    mkdirSync(world.directory.join('root'))
    await makeBusyboxRoot(world.directory.join('root'))
    root = await tarOfDirectory(world.directory.join('root'))
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** What a RUN on such a base prints. */
  async function run(
    config: ImageConfig,
    command: string,
    more: { readonly layers?: readonly Uint8Array[]; readonly lines?: string } = {},
  ): Promise<{ readonly output: string; readonly result: BuildResult }> {
    const name = `config-${++images}`
    const layout = world.directory.join(name)
    await writeImageLayout(layout, { layers: [root, ...(more.layers ?? [])], config })
    const base = await pushBase({ layout }, world.registry, `${name}:1`)
    const context = await world.context(`${name}-context`, {
      Dockerfile: `FROM ${base}\n${more.lines ?? ''}RUN ${command}\n`,
    })
    const chunks: Uint8Array[] = []
    const result = await world.build(context, {
      onProgress: (event) => void (event.type === 'log' && chunks.push(event.data)),
    })
    return { output: Buffer.concat(chunks).toString('latin1'), result }
  }

  // What is worked out stands as BuildKit 0.2x and runc 1.3 answered.
  test.each([
    ['/x/../../../etc/../y/./z/..', '/y\n'],
    ['../../..', '/\n'],
    ['a/b', '/a/b/a/b\n'],
    ['/x/../../../y', '/y\n'],
    ['/a\nb c', '/a\nb c\n'],
    [`/${'d'.repeat(200)}`.repeat(15), `${`/${'d'.repeat(200)}`.repeat(15)}\n`],
  ])('its directory %j is inside the root', async (directory, shown) => {
    expect((await run({ WorkingDir: directory }, 'pwd')).output).toBe(shown)
  })

  test.each([
    ['/proc/self/fd/8', /magic link|Not a directory|no such file/i],
    ['/proc/1/root/tmp/ts-oci-planted', /magic link/],
    [`/${'d'.repeat(5000)}`, /too long/i],
    ['/a\0b', /NUL byte/],
    ['/proc/nosuch', /no such file|not permitted/i],
  ])('its directory %j is refused by name', async (directory, why) => {
    await expect(run({ WorkingDir: directory }, 'pwd')).rejects.toMatchObject({
      code: expect.stringMatching(/^OCI_/),
      message: expect.stringMatching(why),
    })
    expect(existsSync('/tmp/ts-oci-planted')).toBe(false)
  })

  test.each([
    [['A=x\ny', 'B=a b=c'], 'printf "%s|" "$A" "$B"', 'x\ny|a b=c|'],
    [['A=1', 'A=2', 'B=1', 'A=3'], 'echo $A $B $(env | grep -c ^A=)', '3 1 1\n'],
    [['NOEQUALS', 'C=1'], 'echo "$NOEQUALS" $C', ' 1\n'],
    [['LD_PRELOAD=/no/such.so', 'PATH=/bin', 'IFS=x'], 'echo ran', 'ran\n'],
    [['HOME=', 'PATH=/bin'], 'echo $HOME', '/root\n'],
  ])('its variables %j are given as they are, the last of a name alone', async (Env, command, shown) => {
    expect((await run({ Env: ['PATH=/bin', ...Env] }, command)).output).toBe(shown)
  })

  test.each([
    [['=X'], /name cannot be empty/],
    [['A=x\0y'], /NUL byte/],
    [[`A=${'x'.repeat(1 << 20)}`], /argument list too long/i],
    [[5 as unknown as string], /not a list of strings/],
  ])('its variables are refused by name: %#', async (Env, why) => {
    await expect(run({ Env: ['PATH=/bin', ...Env] }, 'true')).rejects.toMatchObject({
      code: expect.stringMatching(/^OCI_/),
      message: expect.stringMatching(why),
    })
  })

  test.each([
    ['4294967295', /in range/],
    ['-1', /in range/],
    ['0:0:0', /unable to find group/],
    ['no body', /unable to find user/],
    ['a\0b', /unable to find user/],
  ])('its user %j is refused by name', async (User, why) => {
    await expect(run({ User }, 'true')).rejects.toMatchObject({ message: expect.stringMatching(why) })
  })

  test('/etc/passwd and /etc/group that are pipes, links or directories keep nobody waiting', async () => {
    const { checkTool } = await import('@ts-oci/testing')
    for (const kind of ['fifo', 'loop', 'proc', 'directory']) {
      const directory = world.directory.join(`etc-${kind}`)
      mkdirSync(`${directory}/etc`, { recursive: true })
      for (const name of ['passwd', 'group']) {
        const path = `${directory}/etc/${name}`
        if (kind === 'fifo') await checkTool('mkfifo', [path])
        if (kind === 'loop') symlinkSync(name, path)
        if (kind === 'proc') symlinkSync('/proc/self/environ', path)
        if (kind === 'directory') mkdirSync(path)
      }
      const layers = [await tarOfDirectory(directory)]
      rmSync(directory, { recursive: true })
      const startMs = Date.now()
      await expect(run({ User: 'nobody' }, 'true', { layers })).rejects.toMatchObject({ code: expect.any(String) })
      if (kind !== 'loop')
        expect((await run({ User: '5' }, 'grep Uid /proc/self/status', { layers })).output).toMatch(/Uid:\t5\t5/)
      expect(Date.now() - startMs).toBeLessThan(20_000)
    }
  })
})
