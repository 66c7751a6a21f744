import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { readFile } from 'node:fs/promises'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

interface OciConfig {
  readonly config: { readonly Env?: readonly string[]; readonly Labels?: Readonly<Record<string, string>> }
  readonly history?: readonly unknown[]
  readonly rootfs: { readonly diff_ids: readonly string[] }
}

// Expected: what buildah 1.43.2 made of the same files and flags.
describeWith(buildNeeds, 'what a build changes in its Dockerfile', () => {
  let world: BuildWorld

  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** The files of the image, and what its config says. */
  async function built(
    name: string,
    files: Readonly<Record<string, string>>,
    options: BuildOptions,
  ): Promise<{ readonly config: OciConfig; readonly file: (path: string) => Promise<string> }> {
    const context = await world.context(name, files)
    const [layout, tree] = [world.directory.join(`${name}-layout`), world.directory.join(`${name}-tree`)]
    const result = await world.build(context, {
      ...options,
      outputs: [
        { type: 'oci', dest: layout, tar: 'false' },
        { type: 'local', dest: tree },
      ],
    })
    const text = await readFile(`${layout}/blobs/${result.configDigest!.replace(':', '/')}`, 'utf8')
    return { config: JSON.parse(text) as OciConfig, file: (path) => readFile(`${tree}${path}`, 'utf8') }
  }

  test('variables stand behind every FROM: steps of all stages see them, and so does the image', async () => {
    const Dockerfile = [
      `FROM ${world.base} AS a`,
      'RUN echo "a:$Q" > /a',
      `FROM ${world.base}`,
      'ENV A=b',
      'COPY --from=a /a /a',
      'RUN echo "b:$Q" > /b',
      '',
    ].join('\n')
    const amend = { env: { Q: '1', S: 'a "b"' }, unsetEnv: ['PATH'] }
    const { config, file } = await built('env', { Dockerfile }, { amend })
    expect([await file('/a'), await file('/b')]).toEqual(['a:1\n', 'b:1\n'])
    expect(config.config.Env).toEqual(['Q=1', 'S=a "b"', 'A=b'])
  })

  test('another image stands in the first FROM, and in no other', async () => {
    const Dockerfile = ['FROM nowhere.invalid/a AS first', 'FROM first', 'COPY note /note', ''].join('\n')
    const amend = { from: 'scratch' }
    const { file, config } = await built('from', { Dockerfile, note: 'here\n' }, { amend })
    expect([await file('/note'), config.rootfs.diff_ids.length]).toEqual(['here\n', 1])
    await expect(
      built(
        'from-2',
        { Dockerfile: 'FROM scratch\nCOPY note /\nFROM nowhere.invalid/a\n', note: '' },
        { amend, retries: 0 },
      ),
    ).rejects.toMatchObject({ message: expect.stringContaining('nowhere.invalid') })
  })

  test('a mount is one of every RUN', async () => {
    const Dockerfile = [`FROM ${world.base}`, 'RUN cat /given/note > /one', 'RUN cat /given/note > /two', ''].join('\n')
    const given = await world.context('given', { note: 'lent\n' })
    const options = { amend: { mounts: ['type=bind,from=lent,target=/given'] }, buildContexts: { lent: given } }
    const { file } = await built('mounts', { Dockerfile }, options)
    expect([await file('/one'), await file('/two')]).toEqual(['lent\n', 'lent\n'])
    await expect(built('mounts-2', { Dockerfile }, { amend: { mounts: ['type=what'] } })).rejects.toMatchObject({
      message: expect.stringContaining('what'),
    })
  })

  test('labels of a stage before are left behind, and a name is taken away', async () => {
    const Dockerfile = ['FROM scratch AS a', 'LABEL base=1', 'FROM a', 'LABEL own=1 other=2', ''].join('\n')
    const { config } = await built(
      'labels',
      { Dockerfile },
      { amend: { inheritLabels: false, unsetLabels: ['other'] } },
    )
    expect(config.config.Labels).toEqual({ own: '1' })
    expect((await built('labels-2', { Dockerfile }, {})).config.config.Labels).toEqual({
      base: '1',
      own: '1',
      other: '2',
    })
  })

  test('an image without its history is built, and built on', async () => {
    const Dockerfile = 'FROM scratch\nCOPY note /note\n'
    const { config } = await built(
      'history',
      { Dockerfile, note: 'x' },
      { amend: { omitHistory: true }, tags: ['bare'] },
    )
    expect(config.history ?? []).toEqual([])
    expect(config.rootfs.diff_ids).toHaveLength(1)
  })

  test('an ignore file that is named counts in place of the one in the context', async () => {
    const named = `${await world.context('ignore', { list: 'x\n' })}/list`
    const files = { Dockerfile: 'FROM scratch\nCOPY . /\n', x: 'x', y: 'y', '.dockerignore': 'y\n' }
    const { file } = await built('ignored', files, { ignoreFile: named })
    expect(await file('/y')).toBe('y')
    await expect(file('/x')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(built('ignored-2', files, { ignoreFile: `${named}-not` })).rejects.toMatchObject({
      code: 'OCI_CONTEXT_INVALID',
    })
  })

  test('squash makes one layer of the new ones, on those of the base', async () => {
    const Dockerfile = [
      `FROM ${world.base}`,
      'RUN mkdir /d && echo 1 > /d/a && echo gone > /d/b && ln /d/a /d/c && chmod 4755 /d/a',
      'RUN rm /d/b && echo 2 > /d/e && rm -rf /bin/vi',
      'LABEL own=1',
      '',
    ].join('\n')
    const plain = await built('plain', { Dockerfile }, {})
    const one = await built('squash', { Dockerfile }, { amend: { squash: 'new' } })
    const [base] = plain.config.rootfs.diff_ids
    expect([plain.config.rootfs.diff_ids.length, one.config.rootfs.diff_ids.length]).toEqual([3, 2])
    expect(one.config.rootfs.diff_ids[0]).toBe(base)
    expect(one.config.config).toEqual(plain.config.config)
    expect(one.config.history).toHaveLength(plain.config.history!.length + 1)
    // tar lists what umoci, who knows nothing of us, would unpack.
    const listed = await listingOf(world, 'squash', one.config.rootfs.diff_ids[1]!)
    expect(listed).toEqual(['bin/', 'bin/.wh.vi', 'd/', 'd/a', 'd/c', 'd/e'])
    const files = (name: string) =>
      checkTool('sh', ['-c', 'find . -printf "%P %M %U %G %n %s %l\\n" | sort'], {
        cwd: world.directory.join(`${name}-tree`),
      })
    expect(await files('squash')).toBe(await files('plain'))
  })

  test('squash of all leaves no layer of the base, and the same files', async () => {
    const Dockerfile = [`FROM ${world.base}`, 'RUN echo 1 > /one', 'RUN rm /bin/vi', ''].join('\n')
    const all = await built('all', { Dockerfile }, { amend: { squash: 'all' } })
    expect(all.config.rootfs.diff_ids).toHaveLength(1)
    expect(await all.file('/one')).toBe('1\n')
    await expect(all.file('/bin/vi')).rejects.toMatchObject({ code: 'ENOENT' })
    const again = await built('all-again', { Dockerfile }, { amend: { squash: 'all' } })
    expect(again.config).toEqual(all.config)
  })
})

/** The names in a layer's tar. */
async function listingOf(world: BuildWorld, name: string, diffId: string): Promise<readonly string[]> {
  const blobs = world.directory.join(`${name}-layout/blobs/sha256`)
  // Blobs are compressed: that of the diffID is found by what it holds.
  const script =
    'for f in *; do if [ "$(gzip -dc "$f" 2>/dev/null | sha256sum | cut -d" " -f1)" = "$1" ]; then tar -tzf "$f"; fi; done'
  const text = await checkTool('sh', ['-c', script, 'sh', diffId.replace('sha256:', '')], { cwd: blobs })
  return text.trim().split('\n')
}
