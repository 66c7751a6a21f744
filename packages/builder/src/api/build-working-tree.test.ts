import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect } from '@jest/globals'
import fc from 'fast-check'
import { describeWith, mountOverlayDisk, testWith, type OverlayDisk } from '@ts-oci/testing'
import { build } from './build.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

/** Later than what steps set by hand, earlier than now: whatever is written now gets this time in the image. */
const EPOCH_SEC = 1_000_000_000

describeWith([...buildNeeds, 'mount', 'umount'], 'working trees, on a disk that takes no overlay', () => {
  let world: BuildWorld
  let disk: OverlayDisk
  let count = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
    disk = await mountOverlayDisk()
  })
  afterAll(async () => {
    await disk[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  interface WayOptions {
    readonly files?: Readonly<Record<string, string>>
    readonly isolation?: 'auto' | 'rootless'
    readonly snapshots?: 'auto' | 'tree'
  }

  interface Built {
    readonly layers: readonly string[]
    readonly log: string
  }

  /** Digests of the layers above the base, with times that do not depend on when they were made. */
  async function buildOn(store: string, dockerfile: string, options: WayOptions): Promise<Built> {
    const { files = {}, isolation = 'auto', snapshots = 'auto' } = options
    const context = await world.context(`context-${++count}`, { Dockerfile: `FROM $BASE\n${dockerfile}`, ...files })
    let log = ''
    const dest = `${context}.oci`
    await build({
      context,
      store,
      isolation,
      snapshots,
      buildArgs: { SOURCE_DATE_EPOCH: String(EPOCH_SEC) },
      outputs: [{ type: 'oci', dest, tar: 'false', 'rewrite-timestamp': 'true', compression: 'uncompressed' }],
      onProgress: (event) => {
        if (event.type === 'log') log += Buffer.from(event.data).toString()
      },
    })
    type Descriptors = Readonly<Record<'manifests' | 'layers', readonly { readonly digest: string }[]>>
    const read = (name: string): Descriptors => JSON.parse(readFileSync(`${dest}/${name}`, 'utf8')) as Descriptors
    const manifest = read(`blobs/sha256/${read('index.json').manifests[0]!.digest.slice(7)}`)
    return { layers: manifest.layers.slice(1).map(({ digest }) => digest), log }
  }

  /** The same Dockerfile by overlay and by working trees. */
  async function bothWays(
    dockerfile: string,
    options: WayOptions = {},
  ): Promise<{ readonly overlay: Built; readonly tree: Built }> {
    const store = `store-${++count}`
    const overlay = await buildOn(world.directory.join(store), dockerfile, options)
    const tree = await buildOn(`${disk.path}/${store}`, dockerfile, { ...options, snapshots: 'tree' })
    expect(readdirSync(`${disk.path}/${store}/tmp`)).toEqual([])
    // No tree of a layer was made for an overlay.
    expect(readdirSync(`${disk.path}/${store}/snapshots`)).toEqual([])
    return { overlay, tree }
  }

  const steps = [
    'RUN mkdir -p /d/sub && echo one > /d/one && echo two > /d/two && ln /d/one /d/link && ln -s one /d/soft && mkfifo /d/fifo',
    'COPY added /d/added',
    // One of two names changes, an equal entry comes again, a directory makes way for a link and a file for a directory.
    'RUN echo more >> /d/one && rm -r /d/sub && ln -s one /d/sub && rm /d/two && mkdir /d/two && touch /d/two/inside && chmod 640 /d/added',
    'RUN --mount=type=cache,target=/deep/cache --mount=type=bind,target=/ctx echo x > /deep/cache/file && cp /ctx/added /d/copied',
    'RUN rm -r /d/two && mkdir /d/two && chown 5:6 /d/two && chmod 4755 /d/copied && mknod /d/null c 1 3',
    'RUN true',
  ]

  for (const isolation of ['auto', 'rootless'] as const)
    testWith([], `gives the layers that an overlay gives, byte for byte (isolation ${isolation})`, async () => {
      // With a user namespace no device can be made.
      const possible = isolation === 'auto' ? steps : steps.filter((step) => !step.includes('mknod'))
      const { overlay, tree } = await bothWays(possible.join('\n'), {
        files: { added: 'from the context' },
        isolation,
      })
      expect(tree.layers).toEqual(overlay.layers)
    })

  testWith([], 'tells a file that was changed in place and got its size and time back', async () => {
    const { overlay, tree } = await bothWays(
      [
        'RUN echo aaaa > /file && touch -d @5000 /file',
        'RUN echo bbbb > /file && touch -d @5000 /file',
        'RUN cat /file',
      ].join('\n'),
    )
    expect(tree.layers).toEqual(overlay.layers)
    expect(tree.log).toContain('bbbb')
  })

  testWith(
    [],
    'shows a later step what it would show by an overlay: no mount points, no second name that changes along',
    async () => {
      const { tree } = await bothWays(
        [
          'RUN echo one > /one && ln /one /two',
          'RUN --mount=type=cache,target=/deep/cache --mount=type=tmpfs,target=/tmpfs echo more >> /one',
          'RUN test ! -e /deep && test ! -e /tmpfs && echo "two holds $(cat /two)"',
        ].join('\n'),
      )
      expect(tree.log).toContain('two holds one')
    },
  )

  testWith([], 'makes the tree again for a second consumer, and after a step that failed', async () => {
    const stages =
      'RUN echo base > /file\nFROM base AS a\nRUN echo a >> /file\nFROM base AS b\nRUN echo b >> /file\nFROM scratch\nCOPY --from=a /file /a\nCOPY --from=b /file /b\n'
    const context = await world.context('stages', { Dockerfile: `FROM $BASE AS base\n${stages}` })
    const store = `${disk.path}/stages`
    const out = world.directory.join('stages-out')
    await build({ context, store, snapshots: 'tree', outputs: [{ type: 'local', dest: out }] })
    const read = (name: string) => readFileSync(`${out}/${name}`, 'utf8')
    expect([read('a'), read('b')]).toEqual(['base\na\n', 'base\nb\n'])
    const failing = await world.context('failing', {
      Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN echo half > /half && exit 3\n',
    })
    await expect(build({ context: failing, store, snapshots: 'tree' })).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
    })
    expect(readdirSync(`${store}/tmp`)).toEqual([])
    const again = await world.context('again', {
      Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN test ! -e /half && cat /one\n',
    })
    const result = await build({ context: again, store, snapshots: 'tree' })
    expect(verticesOf(result, 'cached')).toContain('RUN echo 1 > /one')
  })

  testWith([], 'unpacks its base from the blob that came, and writes no tar of it', async () => {
    const context = await world.context('base-tar', { Dockerfile: 'FROM $BASE\nUSER root\nRUN id && echo 1 > /one\n' })
    const store = `${disk.path}/base-tar`
    const { layers } = await build({ context, store, snapshots: 'tree' })
    const hasTar = layers.map(({ diffId }) => existsSync(`${store}/blobs/sha256/${diffId.slice(7)}`))
    expect(hasTar).toEqual([false, true])
  })

  testWith([], 'fails by name where the disk is full, and leaves a store that works', async () => {
    await using small = await mountOverlayDisk(24 * 1024 * 1024)
    const store = `${small.path}/store`
    const context = await world.context('full', {
      Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN dd if=/dev/zero of=/large bs=1M count=64\n',
    })
    await expect(build({ context, store, snapshots: 'tree' })).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      hint: expect.stringContaining('no space left for the store'),
    })
    expect(readdirSync(`${store}/tmp`)).toEqual([])
    const next = await world.context('not-full', { Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN cat /one\n' })
    expect(verticesOf(await build({ context: next, store, snapshots: 'tree' }), 'ran')).toContain('RUN cat /one')
  })

  testWith(
    [],
    'gives the layers of an overlay for any steps',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(command, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 }),
          async (steps) => {
            const dockerfile = steps
              .map(
                (commands) =>
                  `RUN cd /w 2>/dev/null || { mkdir /w; cd /w; }; ${commands.map((one) => `{ ${one}; } 2>/dev/null`).join('; ')}; true`,
              )
              .join('\n')
            const { overlay, tree } = await bothWays(dockerfile)
            expect(tree.layers).toEqual(overlay.layers)
          },
        ),
        { numRuns: Number(process.env['TS_OCI_WORKING_TREE_RUNS'] ?? 3) },
      )
    },
    600_000,
  )
})

const path = fc.constantFrom('a', 'b', 'd', 'd/x', 'd/y', 'd/e', 'd/e/z')
const modes = fc.constantFrom('600', '755', '4711', '000')
const seconds = fc.constantFrom(1, 5000, 999_999_999)

/** What steps do to files. Names of links are their own: a directory with both names of a file is not moved (docs/steps.md). */
const command = fc.oneof(
  fc.tuple(path, fc.constantFrom('one', 'two')).map(([at, text]) => `echo ${text} > ${at}`),
  path.map((at) => `echo more >> ${at}`),
  path.map((at) => `mkdir -p ${at}`),
  path.map((at) => `rm -rf ${at}`),
  fc.tuple(path, modes).map(([at, mode]) => `chmod ${mode} ${at}`),
  fc.tuple(path, fc.constantFrom('0:0', '1:2', '65534:7')).map(([at, owner]) => `chown ${owner} ${at}`),
  fc.tuple(path, path).map(([from, to]) => `test ! -e ${to} && mv ${from} ${to}`),
  fc.tuple(path, fc.constantFrom('l1', 'l2')).map(([from, to]) => `test -f ${from} && ln -f ${from} ${to}`),
  fc.constantFrom('echo more >> l1', 'rm -f l2', 'chmod 600 l1', 'chown 3:4 l2'),
  fc.tuple(path, fc.constantFrom('a', '/w/d', 'nothing')).map(([at, target]) => `rm -rf ${at}; ln -s ${target} ${at}`),
  fc.tuple(path, seconds).map(([at, at_]) => `touch -d @${at_} ${at}`),
  path.map((at) => `test ! -e ${at} && mknod ${at} c 1 3`),
  // Of a name that nothing writes to: it would wait for a reader.
  fc.constantFrom('mkfifo f', 'rm -f f', 'chmod 600 f'),
)
