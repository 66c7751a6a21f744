import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { history, images, inspect, remove, tag } from './images.ts'
import { prune } from './usage.ts'
import { push } from './transfer.ts'

interface IndexEntry {
  readonly mediaType: string
  readonly digest: string
  readonly annotations?: Record<string, string>
  readonly platform?: { readonly architecture: string }
}
interface Document {
  readonly mediaType: string
  readonly annotations?: Record<string, string>
  readonly manifests: readonly IndexEntry[]
  readonly config: { readonly digest: string }
}

const DOCKERFILE = `FROM scratch AS base
ARG TARGETARCH
ARG TARGETPLATFORM
LABEL platform=$TARGETPLATFORM
COPY app-$TARGETARCH /app
COPY common /common
FROM base
COPY common /more
`
const FILES = { Dockerfile: DOCKERFILE, 'app-amd64': 'amd\n', 'app-arm64': 'arm\n', common: 'common\n' }
const byText = (a: string, b: string): number => (a < b ? -1 : 1)
const BOTH = 'linux/amd64,linux/arm64'

// What is expected is what BuildKit 0.26 gives for the same contexts and flags.
describeWith(buildNeeds, 'several platforms in one build', () => {
  let world: BuildWorld
  let context: string
  beforeAll(async () => {
    world = await makeBuildWorld()
    context = await world.context('several', FILES)
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  const buildBoth = (options: BuildOptions): Promise<BuildResult> =>
    world.build(context, { platform: BOTH, sourceDateEpoch: 1_700_000_000, ...options })

  async function layoutOf(name: string, options: BuildOptions = {}): Promise<(digest?: string) => Document> {
    const dest = world.directory.join(name)
    await buildBoth({ ...options, outputs: [{ type: 'oci', tar: false, dest }] })
    return (digest) =>
      JSON.parse(
        readFileSync(
          join(dest, digest === undefined ? 'index.json' : digest.replace(':', '/').replace(/^/, 'blobs/')),
          'utf8',
        ),
      ) as Document
  }

  test('a layout names an index over a manifest for each', async () => {
    const read = await layoutOf('layout', { tags: ['a/b:1'] })
    const [entry, ...more] = read().manifests
    expect(more).toEqual([])
    expect(entry).toMatchObject({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      annotations: {
        'io.containerd.image.name': 'docker.io/a/b:1',
        'org.opencontainers.image.created': '2023-11-14T22:13:20Z',
        'org.opencontainers.image.ref.name': '1',
      },
    })
    expect(entry!.platform).toBeUndefined()
    const { manifests } = read(entry!.digest)
    expect(manifests.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ])
    for (const { digest, platform } of manifests) {
      const config = read(read(digest).config.digest) as unknown as {
        readonly architecture: string
        readonly config: { readonly Labels: unknown }
      }
      expect(config.architecture).toBe(platform!.architecture)
      expect(config.config.Labels).toEqual({ platform: `linux/${platform!.architecture}` })
    }
  })

  test('what is built tells its platform, and what is equal is done once', async () => {
    const dest = world.directory.join('names.tar')
    const two = await world.context('shared', {
      Dockerfile:
        'FROM --platform=$BUILDPLATFORM $BASE AS tools\nRUN echo $(( 6 * 7 )) > /made\nFROM scratch\nCOPY --from=tools /made /\n',
    })
    const result = await world.build(two, { platform: BOTH, outputs: [{ type: 'oci', dest }] })
    expect(result.vertices.map(({ name }) => name).filter((name) => /RUN|COPY/.test(name))).toEqual([
      '[linux/amd64 tools 2/2] RUN echo $(( 6 * 7 )) > /made',
      // One for both: neither its inputs nor what it does tell them apart.
      '[linux/amd64 stage-1 1/1] COPY --from=tools /made /',
    ])
    expect(result.internalSteps.map(({ name }) => name)).toContain(
      `[linux/amd64 internal] load metadata for ${world.base}`,
    )
  })

  test('annotations are of the index, of its entry, of all manifests or of one', async () => {
    const read = await layoutOf('annotated', {
      annotations: {
        a: '1',
        'index:b': '2',
        'manifest[linux/arm64]:a': '3',
        'manifest-descriptor:d': '4',
        'index-descriptor:e': '5',
        'index[linux/arm64]:f': '6',
        'manifest-descriptor[linux/amd64]:g': '7',
      },
    })
    const [entry] = read().manifests
    expect(entry!.annotations).toEqual({ e: '5', 'org.opencontainers.image.created': '2023-11-14T22:13:20Z' })
    const index = read(entry!.digest)
    expect(index.annotations).toEqual({ b: '2', f: '6' })
    expect(index.manifests.map(({ annotations }) => annotations)).toEqual([{ d: '4', g: '7' }, { d: '4' }])
    expect(index.manifests.map(({ digest }) => read(digest).annotations)).toEqual([{ a: '1' }, { a: '3' }])
  })

  test.each([
    [BOTH, 'manifest[linux/s390x]:x', 'invalid annotation: no platform linux/s390x found in source'],
    ['linux/amd64', 'index:x', 'output type=oci: index annotations not supported for single platform export'],
  ])('for %s an annotation %s is refused', async (platform, key, message) => {
    const outputs = [{ type: 'oci', dest: world.directory.join('never.tar') }] as const
    await expect(buildBoth({ platform, annotations: { [key]: '1' }, outputs })).rejects.toMatchObject({ message })
  })

  test('files go into a directory for each platform, in a tree and in a tar', async () => {
    const directory = world.directory.join('files')
    const dest = world.directory.join('files.tar')
    await buildBoth({
      outputs: [
        { type: 'local', dest: directory },
        { type: 'tar', dest },
      ],
    })
    expect(readdirSync(directory, { recursive: true }).map(String).toSorted(byText)).toEqual([
      'linux_amd64',
      'linux_amd64/app',
      'linux_amd64/common',
      'linux_amd64/more',
      'linux_arm64',
      'linux_arm64/app',
      'linux_arm64/common',
      'linux_arm64/more',
    ])
    expect(readFileSync(join(directory, 'linux_arm64/app'), 'utf8')).toBe('arm\n')
    expect(statSync(join(directory, 'linux_arm64')).mode & 0o777).toBe(0o755)
    expect(execFileSync('tar', ['-tf', dest], { encoding: 'utf8' }).trim().split('\n')).toEqual([
      'linux_amd64/',
      'linux_amd64/app',
      'linux_amd64/common',
      'linux_amd64/more',
      'linux_arm64/',
      'linux_arm64/app',
      'linux_arm64/common',
      'linux_arm64/more',
    ])
    expect(execFileSync('tar', ['-xOf', dest, 'linux_amd64/app'], { encoding: 'utf8' })).toBe('amd\n')
  })

  test('without directories of their own platforms are one tree, where no two have the same file', async () => {
    const one = await world.context('one-tree', {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY app /bin/app-$TARGETARCH\n',
      app: 'app\n',
    })
    const dest = world.directory.join('one-tree-out')
    const outputs = [{ type: 'local', dest, 'platform-split': false }] as const
    await world.build(one, { platform: BOTH, outputs })
    expect(readdirSync(dest, { recursive: true }).map(String).toSorted(byText)).toEqual([
      'bin',
      'bin/app-amd64',
      'bin/app-arm64',
    ])
    await expect(buildBoth({ outputs })).rejects.toMatchObject({
      message: 'cannot overwrite app from linux/amd64 with linux/arm64 when split option is disabled',
    })
    await world.build(one, { platform: 'linux/arm64', outputs: [{ type: 'local', dest, 'platform-split': true }] })
    expect(readdirSync(join(dest, 'linux_arm64/bin'))).toEqual(['app-arm64'])
  })

  test('an archive for docker load is refused before anything is built', async () => {
    await expect(buildBoth({ outputs: [{ type: 'docker', dest: '/dev/null' }] })).rejects.toMatchObject({
      code: 'OCI_OPTION_UNSUPPORTED',
      message: 'docker exporter does not support exporting manifest lists, use the oci exporter instead',
    })
  })

  test('a platform that is asked for twice is built once, told, and twice in the index', async () => {
    const dest = world.directory.join('twice')
    const platform = 'linux/amd64,linux/amd64'
    const result = await buildBoth({ platform, outputs: [{ type: 'oci', tar: false, dest }] })
    expect(result.warnings.map(({ message }) => message)).toEqual(['Duplicate platform result requested "linux/amd64"'])
    expect(result.images.map((image) => image.platform)).toEqual(['linux/amd64', 'linux/amd64'])
    expect(new Set(verticesOf(result, 'ran')).size).toBe(verticesOf(result, 'ran').length)
  })

  test('the store has both under one name, and each can be asked for', async () => {
    const store = world.directory.join('store-of-both')
    const result = await buildBoth({ store, tags: ['both:1'] })
    expect(result.metadata['containerimage.config.digest']).toBeUndefined()
    const [row, ...more] = await images({ store })
    expect(more).toEqual([])
    expect(row).toMatchObject({ repository: 'both', tag: '1', id: result.digest, sizeBytes: 4 + 7 + 7 + 4 + 7 + 7 })
    expect(await inspect('both:1', { store })).toMatchObject({
      Id: result.digest,
      Descriptor: { digest: result.digest, mediaType: 'application/vnd.oci.image.index.v1+json' },
    })
    // As Docker with the containerd store: asked for by platform it is that manifest.
    const arm = { digest: result.images[1]!.digest, mediaType: 'application/vnd.oci.image.manifest.v1+json' }
    expect(await inspect('both:1', { store, platform: 'linux/arm64' })).toMatchObject({
      Id: arm.digest,
      Architecture: 'arm64',
      Descriptor: { ...arm, platform: { architecture: 'arm64', os: 'linux' } },
    })
    await expect(inspect('both:1', { store, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'OCI_IMAGE_NOT_FOUND',
      message: expect.stringContaining('was found but does not provide the specified platform (linux/s390x)'),
      hint: 'it has linux/amd64, linux/arm64',
    })
    const [, , first] = await history('both:1', { store, platform: 'linux/arm64' })
    expect(first!.createdBy).toBe('COPY app-arm64 /app # buildkit')
    // Another index over the same first image is another image.
    await buildBoth({ store, platform: 'linux/amd64', tags: ['one:1'] })
    await tag('both:1', 'again:1', { store })
    await prune({ store, all: true })
    expect(await remove(result.digest!, { store, force: true })).toEqual({
      untagged: ['again:1', 'both:1'],
      deleted: [result.digest],
    })
    expect((await images({ store })).map(({ repository }) => repository)).toEqual(['one'])
  })

  test('a push sends all and their index, or one of them; skopeo reads each', async () => {
    const store = world.directory.join('store-pushed')
    const { host } = world.registry
    const built = await buildBoth({ store, tags: [`${host}/pushed:built`], push: true })
    await prune({ store, all: true })
    const pushed = await push(`${host}/pushed:built`, { store, destination: `${host}/pushed:later` })
    expect(pushed.digest).toBe(built.digest)
    await push(`${host}/pushed:built`, { store, destination: `${host}/pushed:arm`, platform: 'linux/arm64' })
    const read = (reference: string, ...flags: readonly string[]): unknown =>
      JSON.parse(
        execFileSync('skopeo', [...flags, 'inspect', '--tls-verify=false', `docker://${host}/${reference}`], {
          encoding: 'utf8',
        }),
      )
    for (const architecture of ['amd64', 'arm64'])
      for (const name of ['pushed:built', 'pushed:later'])
        expect(read(name, `--override-arch=${architecture}`)).toMatchObject({
          Architecture: architecture,
          Labels: { platform: `linux/${architecture}` },
        })
    expect(read('pushed:arm')).toMatchObject({ Architecture: 'arm64' })
  })

  test('a base with both is taken for each', async () => {
    const store = world.directory.join('store-bases')
    await buildBoth({ store, tags: ['base-of-both:1'] })
    const derived = await world.context('derived', { Dockerfile: 'FROM base-of-both:1\nCOPY more /\n', more: 'more' })
    const result = await world.build(derived, { store, platform: 'linux/arm64,linux/amd64', tags: ['derived:1'] })
    expect(result.images.map(({ platform }) => platform)).toEqual(['linux/arm64', 'linux/amd64'])
    for (const platform of ['linux/arm64', 'linux/amd64'])
      expect((await inspect('derived:1', { store, platform })).Config).toMatchObject({ Labels: { platform } })
  })

  test('of a base with several that run on a platform the very one is taken', async () => {
    const store = world.directory.join('store-ranked')
    const base = await world.context('ranked', {
      Dockerfile: 'FROM scratch\nARG TARGETPLATFORM\nLABEL base=$TARGETPLATFORM\nCOPY Dockerfile /\n',
    })
    const platforms = ['linux/386', 'linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64']
    await world.build(base, { store, platform: platforms.join(','), tags: ['ranked:1'] })
    const derived = await world.context('of-ranked', { Dockerfile: 'FROM ranked:1\nLABEL more=1\n' })
    await world.build(derived, { store, platform: platforms.join(','), tags: ['of-ranked:1'] })
    for (const platform of platforms)
      expect((await inspect('of-ranked:1', { store, platform })).Config).toMatchObject({ Labels: { base: platform } })
  })

  test('an image without a name that an index has, too, is an image of its own', async () => {
    const store = world.directory.join('store-of-parts')
    const both = await buildBoth({ store, tags: ['both:1'] })
    const arm = await buildBoth({ store, platform: 'linux/arm64' })
    expect(new Set((await images({ store })).map(({ id }) => id))).toEqual(new Set([both.digest, arm.configDigest]))
    expect(await inspect(arm.configDigest!, { store })).toMatchObject({ Id: arm.configDigest, Architecture: 'arm64' })
    expect(await remove(arm.configDigest!, { store })).toEqual({ untagged: [], deleted: [arm.configDigest] })
    expect((await images({ store })).map(({ repository }) => repository)).toEqual(['both'])
  })

  test('the digest of one of several images means that one, which does not go alone', async () => {
    const store = world.directory.join('store-of-part')
    const built = await buildBoth({ store, tags: ['both:1'] })
    const [, arm] = built.images
    for (const text of [arm!.configDigest!, arm!.digest!, `both@${arm!.digest}`]) {
      expect(await inspect(text, { store })).toMatchObject({ Id: arm!.digest, Architecture: 'arm64' })
      await expect(remove(text, { store, force: true })).rejects.toMatchObject({ code: 'OCI_IMAGE_NOT_FOUND' })
    }
    await tag(arm!.digest!, 'arm:1', { store })
    expect((await images({ store })).find(({ repository }) => repository === 'arm')!.id).toBe(arm!.configDigest)
    expect(await inspect('both:1', { store })).toMatchObject({ Id: built.digest })
  })

  test('an image of a stage for the build platform counts as that of the platform that was asked for', async () => {
    const cross = await world.context('cross', {
      Dockerfile: 'FROM --platform=$BUILDPLATFORM scratch AS base\nCOPY Dockerfile /\nFROM base\nLABEL one=1\n',
    })
    const dest = world.directory.join('cross-files')
    const outputs = [{ type: 'local', dest }] as const
    const { images: built } = await world.build(cross, { platform: 'linux/arm64,linux/riscv64', outputs })
    expect(built.map(({ platform }) => platform)).toEqual(['linux/arm64', 'linux/riscv64'])
    expect(readdirSync(dest).sort()).toEqual(['linux_arm64', 'linux_riscv64'])
  })

  test('two versions of an operating system are two platforms', async () => {
    const dest = world.directory.join('versions')
    const platform = 'windows(10.0.17763)/amd64,windows(10.0.20348)/amd64'
    const windows = await world.context('windows', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })
    const { warnings } = await world.build(windows, { platform, outputs: [{ type: 'local', dest }] })
    expect(warnings).toEqual([])
    expect(readdirSync(dest).sort()).toEqual(['windows(10.0.17763)_amd64', 'windows(10.0.20348)_amd64'])
  })

  test('a push of several images leaves no upload open that it began for a layer which they share', async () => {
    const store = world.directory.join('store-shared')
    const { host } = world.registry
    const shared = await world.context('shared', {
      ...FILES,
      Dockerfile: 'FROM scratch\nCOPY common /first\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\nCOPY common /more\n',
    })
    await world.build(shared, { store, platform: BOTH, tags: ['shared:1'] })
    await push('shared:1', { store, destination: `${host}/shared-layers:1` })
    const uploads = world.registry.requests().filter((line) => line.includes('/shared-layers/blobs/uploads/'))
    const begun = uploads.filter((line) => line.startsWith('POST'))
    expect(begun.length).toBeGreaterThan(0)
    // Each got its blob, or was taken back.
    expect(uploads.length).toBe(2 * begun.length)
  })
})
