import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startRegistry, type Registry } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { inspectRemote } from './inspect-remote.ts'
import { joinImages } from './join-images.ts'

// What is expected is what buildx 0.29 prints for the same images.
describeWith(buildNeeds, 'images of registries that are joined', () => {
  let world: BuildWorld
  let second: Registry
  let store: string
  /** A repository each, as machines of their own would push them. */
  let sources: { readonly name: string; readonly digest: string; readonly size: number }[]
  beforeAll(async () => {
    world = await makeBuildWorld()
    second = await startRegistry()
    store = world.directory.join('empty-store')
    const context = await world.context('one', {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n',
    })
    sources = []
    for (const architecture of ['amd64', 'arm64']) {
      const name = `${world.registry.host}/app-${architecture}:1`
      const { digest } = await world.build(context, { platform: `linux/${architecture}`, tags: [name], push: true })
      sources.push({ name, digest: digest!, size: rawAt(name).length })
    }
  })
  afterAll(async () => {
    await second?.stop()
    await world?.[Symbol.asyncDispose]()
  })

  const rawAt = (name: string): Buffer =>
    execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`])
  const names = (): string[] => sources.map(({ name }) => name)

  /** As buildx writes an index over both. */
  const indexText = (annotations: readonly string[] = [], more = ''): string => {
    const entry = ({ digest, size }: { digest: string; size: number }, architecture: string, at: number): string => {
      const own = annotations[at] === undefined ? '' : `\n      "annotations": {\n        ${annotations[at]}\n      },`
      return `    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "${digest}",
      "size": ${size},${own}
      "platform": {
        "architecture": "${architecture}",
        "os": "linux"
      }
    }`
    }
    const entries = [entry(sources[0]!, 'amd64', 0), entry(sources[1]!, 'arm64', 1)]
    return `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
${entries.join(',\n')}
  ]${more}
}`
  }

  test('are an index of the same bytes as there, whole in each repository that it is pushed to', async () => {
    const tags = [`${world.registry.host}/joined:1`, `${second.host}/joined:1`]
    const joined = await joinImages(names(), { tags, store })
    expect(Buffer.from(joined.bytes).toString()).toBe(indexText())
    for (const tag of tags) {
      expect(digestOf(rawAt(tag))).toBe(joined.digest)
      const into = world.directory.join(`whole-${tag.replaceAll(/\W/g, '-')}`)
      execFileSync('skopeo', ['copy', '-q', '--all', '--src-tls-verify=false', `docker://${tag}`, `dir:${into}`])
    }
  })

  test('may be digests in the one repository that is named, descriptors, and what the first name has', async () => {
    const tags = [`${world.registry.host}/parts:1`]
    await joinImages(names(), { tags, store })
    const [amd, arm] = sources
    const common = { tags, isDryRun: true, store }
    expect(String(Buffer.from((await joinImages([amd!.digest, arm!.digest], common)).bytes))).toBe(indexText())
    const given = JSON.stringify({ digest: amd!.digest, annotations: { z: '1' } })
    const annotated = await joinImages([given, arm!.digest], common)
    expect(String(Buffer.from(annotated.bytes))).toBe(indexText(['"z": "1"']))
    await joinImages([amd!.digest], { tags: [`${world.registry.host}/parts:grown`], store })
    const grown = await joinImages([arm!.name], {
      tags: [`${world.registry.host}/parts:grown`],
      append: true,
      store,
    })
    expect(String(Buffer.from(grown.bytes))).toBe(indexText())
    await expect(joinImages([amd!.digest], { isDryRun: true, store })).rejects.toThrow(
      'no repositories specified, please set a reference in tag or source',
    )
    await expect(joinImages([`{"digest":"${amd!.digest}","size":3}`], common)).rejects.toThrow('invalid size mismatch')
  })

  test('are annotated: the index, all entries, one of them', async () => {
    const annotations = { 'index:a': 'b', 'manifest-descriptor[linux/amd64]:c': 'd', 'manifest-descriptor:g': 'h' }
    const joined = await joinImages(names(), { annotations, isDryRun: true, store })
    expect(String(Buffer.from(joined.bytes))).toBe(
      indexText(['"c": "d",\n        "g": "h"', '"g": "h"'], ',\n  "annotations": {\n    "a": "b"\n  }'),
    )
    for (const [key, message] of [
      ['manifest:a', '"manifest" annotations are not supported yet'],
      ['a', '"" annotations are not supported yet'],
      ['index-descriptor:a', '"index-descriptor" annotations are invalid while creating an image'],
    ])
      await expect(joinImages(names(), { annotations: { [key!]: '1' }, isDryRun: true, store })).rejects.toThrow(
        message,
      )
  })

  test('may be only those of some platforms; one alone is an index, or a copy where none is preferred', async () => {
    const [amd] = sources
    const name = `${world.registry.host}/all:1`
    await joinImages(names(), { tags: [name], store })
    const read = async (options: object): Promise<{ manifests?: { platform: { architecture: string } }[] }> =>
      JSON.parse(String(Buffer.from((await joinImages([name], { isDryRun: true, store, ...options })).bytes)))
    expect((await read({ platforms: ['linux/arm64'] })).manifests).toMatchObject([
      { platform: { architecture: 'arm64' } },
    ])
    await expect(read({ platforms: ['linux/s390x'] })).rejects.toThrow(
      'none of the manifests match the provided platforms',
    )
    const copy = `${second.host}/copy:1`
    expect(await joinImages([amd!.name], { tags: [copy], preferIndex: false, store })).toMatchObject({
      digest: amd!.digest,
    })
    execFileSync('skopeo', [
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${copy}`,
      `dir:${world.directory.join('copy')}`,
    ])
  })

  test('can be looked at without a layer: the document, and the configs by platform', async () => {
    const name = `${world.registry.host}/seen:1`
    const { digest } = await joinImages(names(), { tags: [name], store })
    const before = world.registry.requests().length
    const found = await inspectRemote(name, { store, withConfigs: true })
    expect(found).toMatchObject({
      name,
      descriptor: { digest },
      configs: { 'linux/amd64': { architecture: 'amd64' }, 'linux/arm64': { architecture: 'arm64' } },
    })
    expect(Buffer.from(found.bytes)).toEqual(rawAt(name))
    const layers = new Set(
      names().flatMap((one) => (JSON.parse(String(rawAt(one))) as { layers: { digest: string }[] }).layers),
    )
    const asked = world.registry.requests().slice(before).join('\n')
    for (const layer of layers) expect(asked).not.toContain(layer.digest)
  })
})
