import { describe, expect, test } from '@jest/globals'
import type { LoweredImage } from './lowered.ts'
import { digestOf, type DiffID } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import type { HistoryEntry } from '../oci/types.ts'
import { assembleImage, type AssembledLayer } from './assemble.ts'

function lowered(history: readonly HistoryEntry[], more: Partial<LoweredImage> = {}): LoweredImage {
  return {
    edge: undefined,
    platform: { os: 'linux', architecture: 'amd64' },
    config: { architecture: 'amd64', os: 'linux', config: {} },
    history,
    baseHistoryLength: 0,
    warnings: [],
    ...more,
  }
}

function layer(name: string, second: number, description = `RUN ${name}`): AssembledLayer {
  const descriptor = { mediaType: MediaType.ociLayerGzip, digest: digestOf(`${name} gzip`), size: 7 }
  return {
    diffId: digestOf(name) as string as DiffID,
    descriptor,
    createdMs: Date.UTC(2024, 0, 1, 0, 0, second),
    description,
  }
}

const at = (second: number): string => `2024-01-01T00:00:0${second}Z`
const times = (image: { readonly history: readonly HistoryEntry[] }): (string | undefined)[] =>
  image.history.map((entry) => entry.created)

describe('times of a history', () => {
  test('an entry with a layer gets the time at which the layer was made', () => {
    const image = assembleImage({
      image: lowered([{ created_by: 'COPY' }, { created_by: 'RUN' }]),
      layers: [layer('a', 1), layer('b', 2)],
    })
    expect(times(image)).toEqual([at(1), at(2)])
  })

  test('empty entries before the first new layer get its time, later ones the time before them', () => {
    const history = [{ empty_layer: true }, { empty_layer: true }, {}, { empty_layer: true }, {}, { empty_layer: true }]
    const image = assembleImage({ image: lowered(history), layers: [layer('a', 3), layer('b', 5)] })
    expect(times(image)).toEqual([at(3), at(3), at(3), at(3), at(5), at(5)])
  })

  test('after a base, metadata gets the time of the next new layer, not that of the base', () => {
    const base = [{ created: at(1) }, { created: at(2), empty_layer: true }]
    const history = [...base, { empty_layer: true }, {}, { empty_layer: true }]
    const image = assembleImage({
      image: lowered(history, { baseHistoryLength: 2 }),
      layers: [layer('base', 9), layer('a', 4)],
    })
    expect(times(image)).toEqual([at(1), at(2), at(4), at(4), at(4)])
  })

  test('metadata alone on a base gets the last time of the base', () => {
    const history = [{ created: at(1) }, { created: at(2), empty_layer: true }, { empty_layer: true }]
    const image = assembleImage({ image: lowered(history, { baseHistoryLength: 2 }), layers: [layer('base', 9)] })
    expect(times(image)).toEqual([at(1), at(2), at(2)])
    expect(image.createdMs).toBe(Date.parse(at(2)))
  })

  test('a layer without an entry gets one that says who wrote it', () => {
    const image = assembleImage({ image: lowered([]), layers: [layer('a', 1, 'mkdir /x'), layer('b', 2, '')] })
    expect(image.history).toEqual([
      { created: at(1), created_by: 'mkdir /x', comment: 'buildkit.exporter.image.v0' },
      { created: at(2), created_by: 'created by buildkit', comment: 'buildkit.exporter.image.v0' },
    ])
  })

  test('entries of layers that are not there count as empty', () => {
    const image = assembleImage({ image: lowered([{}, {}]), layers: [layer('a', 1)] })
    expect(image.history).toEqual([{ created: at(1) }, { created: at(1), empty_layer: true }])
  })

  test('an epoch clamps what is new and leaves the base as it was', () => {
    const base = [{ created: '2030-01-01T00:00:00Z' }]
    const image = assembleImage({
      image: lowered([...base, {}, { empty_layer: true }], { baseHistoryLength: 1 }),
      layers: [layer('base', 0), layer('a', 5)],
      sourceDateEpoch: Date.UTC(2024, 0, 1, 0, 0, 2) / 1000,
    })
    expect(times(image)).toEqual(['2030-01-01T00:00:00Z', at(2), at(2)])
  })

  test('an epoch leaves earlier times alone', () => {
    const image = assembleImage({ image: lowered([{}]), layers: [layer('a', 1)], sourceDateEpoch: 1_800_000_000 })
    expect(times(image)).toEqual([at(1)])
  })
})

describe('bytes', () => {
  test("an image without layers has empty lists, as image-spec's schema wants them", () => {
    const image = assembleImage({ image: lowered([]), layers: [] })
    expect(Buffer.from(image.configBytes).toString()).toBe(
      '{"architecture":"amd64","config":{},"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
    )
    expect(Buffer.from(image.manifestBytes).toString()).toBe(
      [
        '{',
        '  "schemaVersion": 2,',
        '  "mediaType": "application/vnd.oci.image.manifest.v1+json",',
        '  "config": {',
        '    "mediaType": "application/vnd.oci.image.config.v1+json",',
        `    "digest": "${image.config.digest}",`,
        '    "size": 103',
        '  },',
        '  "layers": []',
        '}',
      ].join('\n'),
    )
  })

  test('annotations that builders keep for themselves do not leave', () => {
    const annotations = {
      'containerd.io/uncompressed': 'sha256:x',
      'buildkit/createdat': 'x',
      'containerd.io/distribution.source.docker.io': 'library/x',
      'buildkit/rewritten-timestamp': '1',
    }
    const one = layer('a', 1)
    const annotated = { ...one, descriptor: { ...one.descriptor, annotations } }
    const oci = JSON.parse(
      Buffer.from(assembleImage({ image: lowered([{}]), layers: [annotated] }).manifestBytes).toString(),
    )
    expect(oci.layers[0].annotations).toEqual({ 'buildkit/rewritten-timestamp': '1' })
    const docker = JSON.parse(
      Buffer.from(
        assembleImage({ image: lowered([{}]), layers: [annotated], mediaTypes: 'docker' }).manifestBytes,
      ).toString(),
    )
    expect(docker.layers[0]).toEqual({
      mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      digest: one.descriptor.digest,
      size: 7,
    })
    expect(docker.config.mediaType).toBe('application/vnd.docker.container.image.v1+json')
  })

  test('members of a base config that BuildKit does not know are dropped', () => {
    const config = {
      architecture: 'arm64',
      variant: 'v9',
      os: 'linux',
      docker_version: '1',
      container: 'x',
      author: 'me',
      config: { Cmd: ['sh'], Hostname: 'x' },
    }
    const image = assembleImage({ image: lowered([], { config }), layers: [] })
    expect(Buffer.from(image.configBytes).toString()).toBe(
      '{"architecture":"arm64","author":"me","config":{"Cmd":["sh"]},"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]},"variant":"v9"}',
    )
  })
})
