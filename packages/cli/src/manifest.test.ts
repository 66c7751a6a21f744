import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  type CommandResult,
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

// What is expected is what `docker manifest` of Docker 28 prints, and writes, for such images.
describeWith(['docker-registry', 'skopeo'], 'manifest', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let second: Registry
  let images: string[]
  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    second = await startRegistry()
    const context = await writeContext(directory, {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n',
    })
    images = ['amd64', 'arm64'].map((architecture) => `${registry.host}/app:${architecture}`)
    for (const image of images)
      await tsbuild(directory, ['-q', '--platform', `linux/${image.slice(-5)}`, '-t', image, '--push', context])
  })
  afterAll(async () => {
    await registry?.stop()
    await second?.stop()
    await directory?.[Symbol.asyncDispose]()
  })

  const run = (...args: readonly string[]): Promise<CommandResult> => tsbuild(directory, ['manifest', ...args])
  const raw = (name: string): Buffer =>
    execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`])
  const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

  test('makes a list, says more of its images, and pushes it with them: the digest is that of Docker', async () => {
    const list = `${second.host}/list:1`
    expect(await run('create', list, ...images)).toMatchObject({ status: 0, stdout: `Created manifest list ${list}\n` })
    expect(await run('create', list, images[0]!)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('refusing to amend an existing manifest list with no --amend flag'),
    })
    expect(await run('create', '--amend', list, images[1]!)).toMatchObject({ status: 0 })
    const said = ['--os-version', '1.2', '--variant', 'v9', '--os-features', 'a,b']
    expect(await run('annotate', ...said, list, images[1]!)).toMatchObject({ status: 0 })
    const entry = (image: string, platform: string): string => `      {
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "size": ${raw(image).length},
         "digest": "${digestOf(raw(image))}",
         "platform": {
${platform}
         }
      }`
    const text = `{
   "schemaVersion": 2,
   "mediaType": "application/vnd.oci.image.index.v1+json",
   "manifests": [
${entry(images[0]!, '            "architecture": "amd64",\n            "os": "linux"')},
${entry(
  images[1]!,
  '            "architecture": "arm64",\n            "os": "linux",\n            "os.version": "1.2",\n            "os.features": [\n               "a",\n               "b"\n            ],\n            "variant": "v9"',
)}
   ]
}`
    expect((await run('inspect', list)).stdout).toBe(`${text}\n`)
    const digest = digestOf(Buffer.from(text))
    expect(await run('push', list)).toMatchObject({ status: 0, stdout: `${digest}\n` })
    expect(digestOf(raw(list))).toBe(digest)
    const into = directory.join('whole')
    execFileSync('skopeo', ['copy', '-q', '--all', '--src-tls-verify=false', `docker://${list}`, `dir:${into}`])
    expect(await run('push', '--purge', list)).toMatchObject({ status: 0 })
    expect(await run('push', list)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`No such manifest: ${list}`),
    })
  })

  test('of additions to one list at once none is lost', async () => {
    const list = `${second.host}/together:1`
    await run('create', list)
    const names = Array.from({ length: 6 }, (_, at) => `${registry.host}/together:${at}`)
    const context = directory.join('context')
    for (const name of names) await tsbuild(directory, ['-q', '--label', `of=${name}`, '-t', name, '--push', context])
    const added = await Promise.all(names.map((name) => run('add', list, name)))
    expect(added.map(({ status }) => status)).toEqual(names.map(() => 0))
    expect(JSON.parse((await run('inspect', list)).stdout).manifests).toHaveLength(names.length)
  })

  // Docker 28 prints it so.
  test('inspect --verbose has name, digest, platform and manifest of each image', async () => {
    const [image = ''] = images
    const bytes = raw(image)
    const manifest = JSON.parse(bytes.toString('utf8')) as object
    const descriptor = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(bytes),
      size: bytes.length,
      platform: { architecture: 'amd64', os: 'linux' },
    }
    const shown = { Descriptor: descriptor, Raw: bytes.toString('base64'), OCIManifest: manifest }
    const text = (value: unknown): string => `${JSON.stringify(value, null, '\t')}\n`
    expect((await run('inspect', '-v', image)).stdout).toBe(text({ Ref: image, ...shown }))
    const list = `${second.host}/verbose:1`
    await run('create', list, ...images)
    await run('push', list)
    const [first, other] = JSON.parse((await run('inspect', '--verbose', list)).stdout) as readonly object[]
    expect(first).toMatchObject({ Ref: `${image}@${digestOf(bytes)}`, ...shown })
    expect(other).toMatchObject({ Descriptor: { platform: { architecture: 'arm64' } } })
    await run('rm', list)
    const [remote] = JSON.parse((await run('inspect', '--verbose', list)).stdout) as readonly object[]
    expect(remote).toEqual({ Ref: `${list}@${digestOf(bytes)}`, ...shown })
  })

  // As buildah does it: a list that was begun empty takes what a build makes for several platforms.
  test('a list that a build for several platforms is put into is pushed with its images', async () => {
    await run('create', 'made-here')
    const context = directory.join('context')
    const line = ['bud', '-q', '--manifest', 'made-here', '--platform', 'linux/amd64,linux/arm64', context]
    expect(await tsbuild(directory, line)).toMatchObject({ status: 0 })
    expect(JSON.parse((await run('inspect', 'made-here')).stdout).manifests).toHaveLength(2)
    const target = `${second.host}/from-a-build:1`
    const pushed = await run('push', '--all', 'made-here', `docker://${target}`)
    expect(pushed).toMatchObject({ status: 0, stdout: `${digestOf(raw(target))}\n` })
    expect(JSON.parse(raw(target).toString('utf8')).manifests).toHaveLength(2)
    const whole = directory.join('from-a-build')
    execFileSync('skopeo', ['copy', '-q', '--all', '--src-tls-verify=false', `docker://${target}`, `dir:${whole}`])
    expect(await run('add', 'made-here', images[0]!)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('made-here is what a build made for several platforms'),
    })
  })

  test('a list goes to a registry: another place is named with what writes there', async () => {
    await run('create', 'elsewhere', images[0]!)
    expect(await run('push', 'elsewhere', 'oci:/tmp/layout')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('hint: tsbuild copy --all store:NAME TARGET'),
    })
  })

  test('a list without images is not pushed, nor one whose name a build took since', async () => {
    await run('create', 'empty')
    expect(await run('push', 'empty', `${second.host}/empty:1`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('empty has no images'),
    })
    await run('create', 'both', images[0]!)
    const context = directory.join('context')
    await tsbuild(directory, ['-q', '--platform', 'linux/amd64,linux/arm64', '-t', 'both', context])
    expect(await run('push', 'both', `${second.host}/both:1`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('both is a list of images of registries, and an image that was built since'),
    })
  })

  test('refuses what is no image of the list, and what is none at all', async () => {
    const list = 'other:1'
    expect((await run('create', list)).status).toBe(0)
    expect((await run('add', list, images[0]!)).stdout).toBe(`${list}: ${digestOf(raw(images[0]!))}\n`)
    for (const [args, message] of [
      [['annotate', '--arch', 'foo', list, images[0]!], 'unsupported os/arch combination: /foo'],
      [['annotate', '--arch', 'arm', list, images[1]!], `manifest for image ${images[1]!} does not exist in ${list}`],
      [['remove', list, 'sha256:0'], 'no instance matching "sha256:0"'],
      [['add', list, `${registry.host}/nosuch`], 'not found'],
    ] as const)
      expect(await run(...args)).toMatchObject({ status: 1, stderr: expect.stringContaining(message) })
    expect((await run('exists', list)).status).toBe(0)
    expect((await run('remove', list, digestOf(raw(images[0]!)))).status).toBe(0)
    expect(JSON.parse((await run('inspect', list)).stdout)).toMatchObject({ manifests: [] })
    expect(await run('rm', 'nosuch:1', list)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('No such manifest: nosuch:1'),
    })
    expect((await run('exists', list)).status).toBe(1)
  })

  test('of an index wants all its images to be asked for', async () => {
    const index = `${registry.host}/index:1`
    await tsbuild(directory, ['imagetools', 'create', '-t', index, '--progress=quiet', ...images])
    expect(await run('create', 'of-index', index)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${index} is a manifest list`),
    })
    expect((await run('create', '--all', 'of-index', index)).status).toBe(0)
    expect((JSON.parse((await run('inspect', 'of-index')).stdout) as { manifests: object[] }).manifests).toHaveLength(2)
    await tsbuild(directory, ['prune', '-af'])
    expect((await run('exists', 'of-index')).status).toBe(0)
  })
})
