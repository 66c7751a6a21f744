import { describe, expect, test } from '@jest/globals'
import { digestOf, type Digest } from './digest.ts'
import { MediaType } from './media-types.ts'
import { parsePlatform } from './platform.ts'
import { runSelection, selectImage } from './select-image.ts'
import type { Descriptor } from './types.ts'

/** Documents by digest, and the names of the images in them. */
function makeWorld() {
  const documents = new Map<Digest, Buffer>()
  const names = new Map<Digest, string>()
  const put = (value: unknown, mediaType: string, platform?: string): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value))
    const digest = digestOf(bytes)
    documents.set(digest, bytes)
    return {
      mediaType,
      digest,
      size: bytes.length,
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    }
  }
  const image = (name: string, platform?: string, real = platform ?? 'linux/amd64'): Descriptor => {
    const [os, architecture, variant] = real.split('/')
    const config = put({ os, architecture, variant, rootfs: { type: 'layers', diff_ids: [] } }, MediaType.ociConfig)
    const entry = put(
      { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [], annotations: { name } },
      MediaType.ociManifest,
      platform,
    )
    names.set(entry.digest, name)
    return entry
  }
  const index = (manifests: readonly Descriptor[], platform?: string): Descriptor =>
    put({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }, MediaType.ociIndex, platform)
  let reads = 0
  const choose = (top: Descriptor, platform = 'linux/amd64'): string | undefined => {
    const read = ({ digest }: Descriptor): Buffer => (reads++, documents.get(digest)!)
    const { manifest } = runSelection(
      selectImage({ bytes: documents.get(top.digest)!, mediaType: top.mediaType }, parsePlatform(platform)),
      read,
    )
    return manifest === undefined ? undefined : names.get(manifest.digest)
  }
  return { put, image, index, choose, documents, reads: () => reads }
}

describe('of an index', () => {
  test('the very platform is taken before what runs too, and nothing that does not run', () => {
    const { image, index, choose } = makeWorld()
    const arm = index([image('v6', 'linux/arm/v6'), image('v7', 'linux/arm/v7'), image('amd', 'linux/amd64')])
    expect(choose(arm, 'linux/arm/v7')).toBe('v7')
    expect(choose(arm, 'linux/arm64')).toBe('v7')
    expect(choose(arm, 'linux/s390x')).toBeUndefined()
  })

  // Asked of BuildKit.
  test('an entry whose platform lacks the OS is of Linux, and one that lacks all is none', () => {
    const { put, image, index, choose } = makeWorld()
    const partial = { ...image('partial'), platform: { architecture: 'amd64' } } as unknown as Descriptor
    expect(choose(index([{ ...image('none'), platform: {} as never }, partial]))).toBe('partial')
    expect(choose(index([{ ...put({}, MediaType.ociManifest), platform: {} as never }]))).toBeUndefined()
  })

  // Asked of BuildKit.
  test('an entry that wants features of the OS which nobody asked for is passed over', () => {
    const { image, index, choose } = makeWorld()
    const erofs = image('erofs', 'linux/amd64')
    const entry = { ...erofs, platform: { ...erofs.platform!, 'os.features': ['erofs'] } }
    expect(choose(index([entry, image('plain', 'linux/amd64')]))).toBe('plain')
    expect(choose(index([entry]))).toBeUndefined()
    expect(choose(index([entry]), 'linux(+erofs)/amd64')).toBe('erofs')
  })

  test('what belongs to an image and names no platform hides no image', () => {
    const { put, image, index, choose } = makeWorld()
    const signature = put(
      { schemaVersion: 2, config: put({}, 'application/vnd.dev.cosign.v1+json'), layers: [] },
      MediaType.ociManifest,
    )
    expect(choose(index([signature, image('image')]))).toBe('image')
  })

  test('an attestation manifest is never taken for an image', () => {
    const { image, index, choose } = makeWorld()
    expect(choose(index([image('attestation', 'unknown/unknown')]))).toBeUndefined()
  })

  test('an entry without a platform stands for its config, and alone for itself', () => {
    const { image, index, choose } = makeWorld()
    expect(choose(index([image('alone', undefined, 'linux/arm64')]))).toBe('alone')
    const two = index([image('arm', undefined, 'linux/arm64'), image('amd', undefined, 'linux/amd64')])
    expect(choose(two)).toBe('amd')
    expect(choose(two, 'linux/arm64')).toBe('arm')
    expect(choose(two, 'linux/s390x')).toBeUndefined()
  })

  test.each([undefined, 'linux/amd64'])('an index in it is looked through (platform %s)', (platform) => {
    const { image, index, choose } = makeWorld()
    const inner = index([image('arm', 'linux/arm64'), image('amd', 'linux/amd64')], platform)
    expect(choose(index([inner]))).toBe('amd')
    expect(choose(index([index([inner])]))).toBe('amd')
    expect(choose(index([image('other', 'linux/s390x'), inner]))).toBe('amd')
  })

  test('an index of another platform is not even read', () => {
    const { image, index, choose, reads } = makeWorld()
    expect(choose(index([index([image('arm', 'linux/arm64')], 'linux/arm64')]))).toBeUndefined()
    expect(reads()).toBe(0)
  })

  test('an index that is nested without end, or names too much, is refused', () => {
    const { image, index, choose } = makeWorld()
    let deep = index([image('amd', 'linux/amd64')])
    for (let depth = 0; depth < 5; depth++) deep = index([deep])
    expect(() => choose(deep)).toThrow('nested more than 4 deep')
    const wide = index(Array.from({ length: 40 }, (_, at) => index([image(`s${at}`, 'linux/s390x')])))
    expect(() => choose(wide)).toThrow('more than 32 documents')
  })

  test('an index that names the same one twice reads it once', () => {
    const { image, index, choose, reads } = makeWorld()
    const inner = index([image('s', 'linux/s390x')])
    expect(choose(index(Array.from({ length: 100 }, () => inner)))).toBeUndefined()
    expect(reads()).toBe(1)
  })

  test('an entry whose media type lies is refused', () => {
    const { image, index, choose } = makeWorld()
    const amd = image('amd')
    expect(() => choose(index([{ ...amd, mediaType: MediaType.ociIndex }]))).toThrow('its transport says')
    const inner = index([amd])
    expect(() => choose(index([{ ...inner, mediaType: MediaType.ociManifest }]))).toThrow('its transport says')
  })
})
