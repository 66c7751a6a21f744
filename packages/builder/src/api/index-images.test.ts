import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, startRegistry, type Registry } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { history, images, inspect, remove, tag } from './images.ts'
import { prune } from './usage.ts'
import { pull } from './pull.ts'
import { push } from './transfer.ts'

const PLATFORMS = ['linux/amd64', 'linux/arm64', 'linux/arm/v7']
const DOCKERFILE =
  'FROM scratch\nARG TARGETPLATFORM\nARG TARGETARCH\nLABEL platform=$TARGETPLATFORM\nCOPY common app-$TARGETARCH /\n'
const FILES = { Dockerfile: DOCKERFILE, common: 'common', 'app-amd64': 'amd', 'app-arm64': 'arm64', 'app-arm': 'arm' }

// What is expected of ids, of what stays and of messages is what Docker 28 with the containerd store does.
describeWith(buildNeeds, 'an index that was pulled', () => {
  let world: BuildWorld
  let second: Registry
  let name: string
  let indexDigest: string
  let count = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
    second = await startRegistry()
    name = `${world.registry.host}/several:1`
    const context = await world.context('several', FILES)
    const built = await world.build(context, { platform: PLATFORMS.join(','), tags: [name], push: true })
    indexDigest = built.digest!
  })
  afterAll(async () => {
    await second?.stop()
    await world?.[Symbol.asyncDispose]()
  })

  const freshStore = (): string => world.directory.join(`fresh-${++count}`)
  const skopeo = (...args: readonly string[]): string => execFileSync('skopeo', args, { encoding: 'utf8' })
  const digestAt = (reference: string): string =>
    digestOf(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${reference}`]))
  /** Reads every blob of every platform, each verified. */
  function readWhole(reference: string): void {
    const into = world.directory.join(`whole-${++count}`)
    skopeo('copy', '-q', '--all', '--src-tls-verify=false', `docker://${reference}`, `dir:${into}`)
    rmSync(into, { recursive: true })
  }
  const available = async (store: string, image: string): Promise<readonly string[]> => {
    const all = await images({ store, withPlatforms: true })
    const row = all.find(({ repository, tag: text }) => `${repository}:${text}` === image)
    return (row?.platforms ?? []).map(({ platform, isHere }) => (isHere ? platform : `(${platform})`))
  }

  test('stays the index of its name, with the one image that was fetched', async () => {
    const store = freshStore()
    const pulled = await pull(name, { store })
    expect(pulled).toMatchObject({ digest: indexDigest, isNew: true })
    expect(await images({ store })).toMatchObject([{ id: indexDigest, digest: indexDigest, sizeBytes: 6 + 3 }])
    expect(await available(store, name)).toEqual(['linux/amd64', '(linux/arm64)', '(linux/arm/v7)'])
    expect(await inspect(name, { store })).toMatchObject({
      Id: indexDigest,
      Architecture: 'amd64',
      Descriptor: { digest: indexDigest, mediaType: 'application/vnd.oci.image.index.v1+json' },
      RepoDigests: [`${world.registry.host}/several@${indexDigest}`],
    })
    expect((await history(name, { store }))[0]).toMatchObject({ id: indexDigest })
    await expect(inspect(name, { store, platform: 'linux/arm64' })).rejects.toMatchObject({
      message: expect.stringContaining('was found but does not provide the specified platform (linux/arm64)'),
    })
    expect(await pull(name, { store })).toMatchObject({ isNew: false })
  })

  test('asked for by a platform it is that manifest, as the index names it', async () => {
    const store = freshStore()
    await pull(name, { store, platform: 'linux/arm/v7' })
    const index = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`)) as {
      manifests: { digest: string; platform: { variant?: string } }[]
    }
    const entry = index.manifests.find(({ platform }) => platform.variant === 'v7')
    expect(await inspect(name, { store, platform: 'linux/arm/v7' })).toMatchObject({
      Id: entry!.digest,
      RepoTags: [name],
      Descriptor: entry,
      Config: { Labels: { platform: 'linux/arm/v7' } },
    })
  })

  test('gets the images of further pulls, under all its names, and loses them one by one', async () => {
    const store = freshStore()
    await pull(name, { store })
    await tag(name, 'mine:1', { store })
    expect(await pull(name, { store, platform: 'linux/arm64' })).toMatchObject({ isNew: false, digest: indexDigest })
    for (const one of [name, 'mine:1'])
      expect(await available(store, one)).toEqual(['linux/amd64', 'linux/arm64', '(linux/arm/v7)'])
    await prune({ store, all: true })
    const arm = await inspect('mine:1', { store, platform: 'linux/arm64' })
    expect(arm).toMatchObject({ Architecture: 'arm64', RepoTags: expect.arrayContaining(['mine:1', name]) })
    await expect(remove(name, { store, platforms: ['linux/arm64'] })).rejects.toMatchObject({
      message: expect.stringContaining('Content will be removed from all images referencing this variant'),
    })
    await expect(remove(name, { store, force: true, platforms: ['linux/arm/v7'] })).rejects.toMatchObject({
      code: 'OCI_IMAGE_NOT_FOUND',
    })
    expect(await remove(name, { store, force: true, platforms: ['linux/arm64'] })).toEqual({
      untagged: [],
      deleted: [arm.Id],
    })
    for (const one of [name, 'mine:1'])
      expect(await available(store, one)).toEqual(['linux/amd64', '(linux/arm64)', '(linux/arm/v7)'])
    const { removed } = await prune({ store, all: true })
    expect(removed.map(({ type, isShared }) => [type, isShared])).toContainEqual(['regular', false])
    await expect(remove(name, { store, force: true, platforms: ['linux/amd64'] })).rejects.toMatchObject({
      code: 'OCI_IMAGE_IN_USE',
    })
    expect(await remove(indexDigest, { store, force: true })).toEqual({
      untagged: ['mine:1', name].toSorted(),
      deleted: [indexDigest],
    })
  })

  test('is pushed whole from one platform: the digest stays, there and elsewhere', async () => {
    const store = freshStore()
    await pull(name, { store })
    const requests = world.registry.requests().length
    expect(await push(name, { store })).toMatchObject({ digest: indexDigest })
    expect(digestAt(name)).toBe(indexDigest)
    const sent = world.registry.requests().slice(requests)
    expect(sent.filter((line) => /^(POST|PATCH)/.test(line))).toEqual([])
    const targets = [`${world.registry.host}/moved:1`, `${second.host}/carried:1`]
    for (const destination of targets) {
      expect(await push(name, { store, destination })).toMatchObject({ digest: indexDigest })
      expect(digestAt(destination)).toBe(indexDigest)
      readWhole(destination)
    }
    // Nothing of the other platforms came to the store for that.
    expect(await available(store, name)).toEqual(['linux/amd64', '(linux/arm64)', '(linux/arm/v7)'])
  })

  test('is refused where not all of it can be found, and nothing is replaced', async () => {
    const store = freshStore()
    await using gone = await startRegistry()
    const origin = `${gone.host}/several:1`
    await push(name, { store: world.store, destination: origin })
    await pull(origin, { store })
    await gone.stop()
    const destination = `${second.host}/target:1`
    await expect(push(origin, { store, destination, retries: 0 })).rejects.toMatchObject({
      code: 'OCI_BLOB_NOT_FOUND',
      message: expect.stringContaining('missing content'),
      hint: expect.stringContaining('by specifying the platform you want to push with the --platform flag'),
    })
    expect(() => digestAt(destination)).toThrow('manifest unknown')
    const one = await push(origin, { store, destination, platform: 'linux/amd64' })
    expect(one.digest).toBe((await inspect(origin, { store, platform: 'linux/amd64' })).Id)
    expect(skopeo('inspect', '--tls-verify=false', `docker://${destination}`)).toContain('"Architecture": "amd64"')
  })

  test('is the base for each platform that it has, and is asked for where it lacks one', async () => {
    const store = freshStore()
    await pull(name, { store })
    await pull(name, { store, platform: 'linux/arm/v7' })
    const context = await world.context('derived', { Dockerfile: `FROM ${name}\nLABEL more=1\n` })
    const { requests } = world.registry
    const before = requests().length
    await world.build(context, { store, platform: 'linux/amd64,linux/arm/v7', tags: ['two:1'] })
    expect(requests().slice(before)).toEqual([])
    await world.build(context, { store, platform: PLATFORMS.join(','), tags: ['three:1'] })
    for (const platform of PLATFORMS)
      expect((await inspect('three:1', { store, platform })).Config).toMatchObject({ Labels: { platform } })
    expect(requests().slice(before)).not.toEqual([])
  })

  test('is the base of all platforms although its tag leads elsewhere by now', async () => {
    const store = freshStore()
    const isGone = { now: false }
    await using line = await startFaultyProxy(world.registry.host, ({ path }) =>
      isGone.now && path.includes('/manifests/sha256') ? { status: 404 } : undefined,
    )
    const publish = async (version: number): Promise<void> => {
      const Dockerfile = `FROM scratch\nLABEL version=${version}\nCOPY common /\n`
      const context = await world.context(`moving-${version}`, { Dockerfile, common: 'common' })
      const tags = [`${world.registry.host}/moving:1`]
      await world.build(context, { platform: PLATFORMS.join(','), tags, push: true })
    }
    await publish(1)
    const base = `${line.host}/moving:1`
    await pull(base, { store })
    await publish(2)
    const context = await world.context('on-moving', { Dockerfile: `FROM ${base}\nLABEL more=1\n` })
    const versions = async (platforms: readonly string[]): Promise<readonly string[]> => {
      await world.build(context, { store, platform: platforms.join(','), tags: ['on:1'] })
      const all = platforms.map((platform) => inspect('on:1', { store, platform }))
      return (await Promise.all(all)).map(({ Config }) => (Config['Labels'] as { version: string }).version)
    }
    const two = PLATFORMS.slice(0, 2)
    expect(await versions(two)).toEqual(['1', '1'])
    const before = line.seen.length
    expect(await versions(two)).toEqual(['1', '1'])
    expect(line.seen.slice(before)).toEqual([])
    isGone.now = true
    await expect(versions(PLATFORMS)).rejects.toMatchObject({
      code: 'OCI_REGISTRY_NOT_FOUND',
      hint: expect.stringContaining(
        `without its image for linux/arm/v7, and the registry does not have that any more: tsbuild pull ${base}`,
      ),
    })
    isGone.now = false
    await pull(base, { store })
    expect(await versions(PLATFORMS)).toEqual(['2', '2', '2'])
  })

  test('and that only builds fetched, is it for all platforms where the registry is not to be asked for news', async () => {
    const store = freshStore()
    const tags = [`${world.registry.host}/moved:1`]
    const publish = async (version: number): Promise<void> => {
      const Dockerfile = `FROM scratch\nLABEL version=${version}\nCOPY common /\n`
      const context = await world.context(`moved-${version}`, { Dockerfile, common: 'common' })
      await world.build(context, { platform: PLATFORMS.join(','), tags, push: true })
    }
    const context = await world.context('on-moved', { Dockerfile: `FROM ${tags[0]!}\nLABEL more=1\n` })
    const versions = async (platforms: readonly string[], pull?: 'missing'): Promise<readonly unknown[]> => {
      await world.build(context, { store, platform: platforms.join(','), tags: ['on:1'], pull })
      const all = platforms.map((platform) => inspect('on:1', { store, platform }))
      return (await Promise.all(all)).map(({ Config }) => (Config['Labels'] as { version: string }).version)
    }
    await publish(1)
    expect(await versions(PLATFORMS.slice(0, 1))).toEqual(['1'])
    await publish(2)
    expect(await versions(PLATFORMS.slice(0, 2), 'missing')).toEqual(['1', '1'])
    expect(await versions(PLATFORMS)).toEqual(['2', '2', '2'])
  })
})

describeWith(buildNeeds, 'all platforms of an index, with an attestation beside them', () => {
  test('are fetched whole, and pushed without the registry that they came from', async () => {
    await using world = await makeBuildWorld()
    await using target = await startRegistry()
    const { host } = world.registry
    const context = await world.context('several', FILES)
    await world.build(context, { platform: PLATFORMS.join(','), tags: [`${host}/plain:1`], push: true })
    const raw = execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${host}/plain:1`])
    const index = JSON.parse(String(raw)) as { manifests: { digest: string }[] }
    const put = async (path: string, body: string, type: string): Promise<{ digest: string; size: number }> => {
      const digest = digestOf(Buffer.from(body))
      const headers = { 'content-type': type }
      if (path === 'blob') {
        const begun = await fetch(`http://${host}/v2/plain/blobs/uploads/`, { method: 'POST' })
        const url = new URL(begun.headers.get('location')!, `http://${host}`)
        url.searchParams.set('digest', digest)
        expect((await fetch(url, { method: 'PUT', body, headers })).status).toBe(201)
      } else {
        const url = `http://${host}/v2/plain/manifests/${path === 'digest' ? digest : path}`
        expect((await fetch(url, { method: 'PUT', body, headers })).status).toBe(201)
      }
      return { digest, size: body.length }
    }
    const manifestType = 'application/vnd.oci.image.manifest.v1+json'
    const configType = 'application/vnd.oci.image.config.v1+json'
    const layer = await put('blob', '{"statement":1}', 'application/octet-stream')
    const config = await put(
      'blob',
      JSON.stringify({ architecture: 'unknown', os: 'unknown', rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
      'application/octet-stream',
    )
    const attestation = await put(
      'digest',
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: configType, ...config },
        layers: [{ mediaType: 'application/vnd.in-toto+json', ...layer }],
      }),
      manifestType,
    )
    const entry = {
      mediaType: manifestType,
      ...attestation,
      annotations: {
        'vnd.docker.reference.digest': index.manifests[0]!.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
      platform: { architecture: 'unknown', os: 'unknown' },
    }
    const body = JSON.stringify({ ...index, manifests: [...index.manifests, entry] })
    const { digest } = await put('attested', body, 'application/vnd.oci.image.index.v1+json')
    const store = world.directory.join('pulled')
    const name = `${host}/plain:attested`
    expect(await pull(name, { store, allPlatforms: true })).toMatchObject({ digest })
    await expect(pull(name, { store, allPlatforms: true, platform: 'linux/amd64' })).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
    })
    await prune({ store, all: true })
    const [row] = await images({ store, withPlatforms: true })
    expect(row!.platforms!.map(({ platform, isHere }) => [platform, isHere])).toEqual(
      PLATFORMS.map((platform) => [platform, true]),
    )
    await world.registry.stop()
    const destination = `${target.host}/whole:1`
    expect(await push(name, { store, destination, retries: 0 })).toMatchObject({ digest })
    const into = world.directory.join('whole')
    execFileSync('skopeo', ['copy', '-q', '--all', '--src-tls-verify=false', `docker://${destination}`, `dir:${into}`])
  })
})
