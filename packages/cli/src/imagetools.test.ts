import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

// The texts are those of buildx 0.29 for such an image.
describeWith(['docker-registry'], 'buildx imagetools', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let name: string
  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    name = `${registry.host}/app:1`
    const context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nCMD ["x"]\n' })
    const flags = [
      '--platform',
      'linux/amd64,linux/arm/v7',
      '--annotation',
      'manifest-descriptor[linux/amd64]:long-key=y',
    ]
    expect(await tsbuild(directory, ['-q', ...flags, '-t', name, '--push', context])).toMatchObject({ status: 0 })
  })
  afterAll(async () => {
    await registry?.stop()
    await directory?.[Symbol.asyncDispose]()
  })

  const run = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await tsbuild(directory, ['buildx', 'imagetools', ...args])
    expect({ status, stderr }).toMatchObject({ status: 0 })
    return stdout
  }

  test('inspect lists an index as there', async () => {
    const { digest, manifests } = JSON.parse(await run('inspect', '--format', '{{json .Manifest}}', name)) as {
      digest: string
      manifests: { digest: string }[]
    }
    const listing = `Name:      ${name}
MediaType: application/vnd.oci.image.index.v1+json
Digest:    ${digest}
${' '.repeat(11)}
Manifests:${' '}
  Name:        ${name}@${manifests[0]!.digest}
  MediaType:   application/vnd.oci.image.manifest.v1+json
  Platform:    linux/amd64
  Annotations:${' '}
    long-key: y
${' '.repeat(13)}
  Name:      ${name}@${manifests[1]!.digest}
  MediaType: application/vnd.oci.image.manifest.v1+json
  Platform:  linux/arm/v7
`
    expect(await run('inspect', name)).toBe(listing)
    // A template that begins so is one of the whole, there too.
    expect(await run('inspect', '--format', '{{.Manifest.Digest}}', name)).toBe(listing)
    expect(await run('inspect', '--format', '{{.Name}} {{.Manifest.Digest}}', name)).toBe(`${name} ${digest}`)
    const images = JSON.parse(await run('inspect', '--format', '{{json .Image}}', name)) as Record<string, object>
    expect(Object.keys(images)).toEqual(['linux/amd64', 'linux/arm/v7'])
    expect(Object.keys(images['linux/arm/v7']!).slice(-6)).toEqual([
      'architecture',
      'os',
      'variant',
      'config',
      'rootfs',
      'history',
    ])
  })

  test('create prints with --dry-run, else pushes and tells scripts what', async () => {
    const raw = await run('inspect', '--raw', name)
    expect(await run('create', '--dry-run', name)).toBe(`${raw}\n`)
    const target = `${registry.host}/again:1`
    const metadata = directory.join('metadata.json')
    await run('create', '-t', target, '-t', `${target}1`, '--metadata-file', metadata, '--progress=quiet', name)
    expect(await run('inspect', '--raw', `${target}1`)).toBe(raw)
    expect(JSON.parse(readFileSync(metadata, 'utf8'))).toMatchObject({
      'containerimage.descriptor': { mediaType: 'application/vnd.oci.image.index.v1+json', size: raw.length },
      'image.name': `${target},${target}1`,
    })
    const refused = await tsbuild(directory, ['imagetools', 'create', name])
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("can't push with no tags specified, please set --tag or --dry-run"),
    })
  })
})

// Words, columns and labels are those of `docker buildx`; what stands in them is this machine's.
describeWith([], 'the words of docker buildx and docker builder', () => {
  let directory: TemporaryDirectory
  beforeAll(async () => {
    directory = await temporaryDirectory()
  })
  afterAll(async () => directory?.[Symbol.asyncDispose]())

  test.each([
    ['buildx', 'ls'],
    ['builder', 'ls'],
  ])('%s %s lists the one builder', async (...words) => {
    const { status, stdout } = await tsbuild(directory, [...words, '--no-trunc'])
    expect(status).toBe(0)
    const [head, instance, node, ...more] = stdout.split('\n')
    expect(head).toMatch(/^NAME\/NODE +DRIVER\/ENDPOINT +STATUS +BUILDKIT +PLATFORMS$/)
    expect(instance).toMatch(/^default\* +tsbuild *$/)
    expect(node).toMatch(/^ \\_ default +\\_ .*store +running +tsbuild \S+ +linux\/(amd64|arm64)/)
    expect(more).toEqual([''])
  })

  test('buildx inspect tells the platforms for which steps run, and knows no other builder', async () => {
    const { stdout } = await tsbuild(directory, ['buildx', 'inspect', '--bootstrap', 'default'])
    expect(stdout).toMatch(
      /^Name: +default\nDriver: +tsbuild\n\nNodes:\nName: +default\nEndpoint: .*\nStatus: +running\n/,
    )
    expect(stdout).toMatch(/^Platforms: +linux\/(amd64, .*linux\/386|arm64)/m)
    expect(await tsbuild(directory, ['buildx', 'inspect', 'other'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no builder "other" found'),
    })
  })

  test.each(['create', 'use', 'rm', 'stop', 'bake'])('buildx %s is refused with what to do', async (word) => {
    const { status, stderr } = await tsbuild(directory, ['buildx', word, 'x'])
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(`unknown command: buildx ${word}[^]*hint: `),
    })
  })

  test('builds, prunes and tells its version by them', async () => {
    const context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })
    for (const words of [
      ['buildx', 'build'],
      ['buildx', 'b'],
      ['builder', 'build'],
      ['image', 'build'],
    ])
      expect((await tsbuild(directory, [...words, '-q', '-t', 'words:1', context])).stdout).toMatch(
        /^sha256:[0-9a-f]{64}\n$/,
      )
    const { stdout } = await tsbuild(directory, ['--version'])
    expect((await tsbuild(directory, ['buildx', 'version'])).stdout).toBe(stdout)
    for (const words of [
      ['buildx', 'prune'],
      ['builder', 'prune'],
    ])
      expect((await tsbuild(directory, [...words, '-f'])).stdout).toMatch(/^Total:/m)
    expect((await tsbuild(directory, ['image', 'ls', '-q'])).stdout).toMatch(/^[0-9a-f]{12}\n$/)
    expect((await tsbuild(directory, ['buildx', '--help'])).stdout).toContain('buildx inspect')
  })
})
