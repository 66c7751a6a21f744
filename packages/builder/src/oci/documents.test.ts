import { describe, expect, test } from '@jest/globals'
import { digestOf, type DiffID } from './digest.ts'
import { compareTimes, formatTime, goJson, normalizeTime } from './go-json.ts'
import { parseImageConfig, serializeImageConfig } from './image-config.ts'
import { createIndex, looksLikeIndex, parseIndex, serializeIndex } from './image-index.ts'
import { checkIsImage, MAX_MANIFEST_BYTES, parseManifest, serializeManifest } from './manifest.ts'
import { MediaType, layerCompression, layerMediaType, toFamily } from './media-types.ts'

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const digest = digestOf('x')
const config = { mediaType: MediaType.ociConfig, digest, size: 1 }
const manifest = { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [] }

describe('image config', () => {
  // Written by BuildKit (docker 28.5.2) for: FROM scratch / COPY f /f / ENV A="<b>&c".
  const BUILDKIT =
    '{"architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=\\u003cb\\u003e\\u0026c"],"WorkingDir":"/"},"created":"2026-11-24T18:41:10.778778315Z","history":[{"created":"2026-11-24T18:41:10.778778315Z","created_by":"COPY f /f # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2026-11-24T18:41:10.778778315Z","created_by":"ENV A=\\u003cb\\u003e\\u0026c","comment":"buildkit.dockerfile.v0","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:fd420838d5424f17e5ccae74a1c227fc3c27aa5b83bdd581b9b479a018158bde"]}}'

  test('parsed and written again it has the bytes that BuildKit wrote', () => {
    const written = serializeImageConfig(parseImageConfig(bytes(BUILDKIT)))
    expect(Buffer.from(written).toString()).toBe(BUILDKIT)
    expect(digestOf(written)).toBe('sha256:a0ecf40764865c0587eb94e65009bdbce3ecbf125f30f0405321980850fd5df6')
  })

  test('members are in the order of the Go types, maps are sorted, empty ones are absent', () => {
    const written = serializeImageConfig({
      os: 'linux',
      architecture: 'arm',
      variant: 'v7',
      rootfs: { type: 'layers', diff_ids: [] },
      history: [],
      config: {
        Shell: ['/bin/sh', '-c'],
        OnBuild: [],
        Healthcheck: { Retries: 3, Test: ['NONE'], Interval: 5_000_000_000, Timeout: 0 },
        ArgsEscaped: false,
        StopSignal: 'SIGINT',
        Labels: { b: '1', '10': 'x', '9': 'y', a: '\u2028' },
        WorkingDir: '',
        Volumes: { '/b': {}, '/a': {} },
        Cmd: ['x'],
        ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
        User: 'me',
      },
    })
    expect(Buffer.from(written).toString()).toBe(
      '{"architecture":"arm","config":{"User":"me","ExposedPorts":{"443/tcp":{},"80/tcp":{}},"Cmd":["x"],"Volumes":{"/a":{},"/b":{}},"Labels":{"10":"x","9":"y","a":"\\u2028","b":"1"},"StopSignal":"SIGINT","Healthcheck":{"Test":["NONE"],"Interval":5000000000,"Retries":3},"Shell":["/bin/sh","-c"]},"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]},"variant":"v7"}',
    )
  })

  const good = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } }
  // Asked of BuildKit: it writes linux.
  test('without an os it is of Linux', () => {
    expect(parseImageConfig(bytes({ ...good, os: undefined })).os).toBe('linux')
    expect(parseImageConfig(bytes({ ...good, os: '' })).os).toBe('linux')
  })

  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', '{', /not JSON/],
    ['a list', [], /not a JSON object/],
    ['an os that is no text', { ...good, os: 5 }, /os is no text/],
    ['no rootfs', { ...good, rootfs: undefined }, /rootfs is missing/],
    ['another rootfs', { ...good, rootfs: { type: 'squashfs' } }, /rootfs.type is "squashfs"/],
    [
      'a diffID that is none',
      { ...good, rootfs: { type: 'layers', diff_ids: ['sha256:../..'] } },
      /diff_ids\[0\] is no sha256 digest/,
    ],
    ['an environment that is no list', { ...good, config: { Env: 'A=b' } }, /config.Env is not a list of strings/],
    ['a history that is no list', { ...good, history: {} }, /history is not a list/],
  ]
  for (const [name, value, message] of refused) {
    test(`${name} is refused`, () => {
      expect(() => parseImageConfig(bytes(value))).toThrow(
        expect.objectContaining({ code: 'OCI_CONFIG_INVALID', message: expect.stringMatching(message) }),
      )
    })
  }

  test('null members count as absent', () => {
    const parsed = parseImageConfig(
      bytes({
        ...good,
        config: { Env: null, Labels: null },
        history: null,
        rootfs: { type: 'layers', diff_ids: null },
      }),
    )
    expect(parsed).toEqual({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [] as DiffID[] },
    })
  })
})

describe('manifest', () => {
  test('raw bytes and their digest are kept', () => {
    const raw = bytes(`${JSON.stringify(manifest)}  \n`)
    const parsed = parseManifest(raw, `${MediaType.ociManifest}; charset=utf-8`)
    expect(parsed.digest).toBe(digestOf(raw))
    expect(parsed.raw).toBe(raw)
  })

  test('it is written with two spaces and no final newline', () => {
    expect(
      Buffer.from(serializeManifest({ ...manifest, schemaVersion: 2, annotations: { b: '<', a: '1' } })).toString(),
    ).toBe(
      `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "${digest}",
    "size": 1
  },
  "layers": [],
  "annotations": {
    "a": "1",
    "b": "\\u003c"
  }
}`,
    )
  })

  test('a document without a media type is what its transport says', () => {
    const { mediaType: _, ...bare } = manifest
    expect(parseManifest(bytes(bare)).mediaType).toBe(MediaType.ociManifest)
    expect(parseManifest(bytes(bare), MediaType.dockerManifest).mediaType).toBe(MediaType.dockerManifest)
  })

  // Asked of BuildKit, which goes by the transport: some registries serve every manifest under one type.
  test('the spelling of its own family counts where the transport says the other', () => {
    expect(parseManifest(bytes(manifest), MediaType.dockerManifest).mediaType).toBe(MediaType.ociManifest)
  })

  // Asked of BuildKit.
  test('a layer without a media type is a layer', () => {
    const { mediaType: _, ...layer } = config
    expect(parseManifest(bytes({ ...manifest, layers: [layer] })).manifest.layers).toMatchObject([{ mediaType: '' }])
  })

  test('of an artifact it is refused as a base by its kind', () => {
    const chart = { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' }
    const parsed = parseManifest(bytes({ ...manifest, config: chart }))
    expect(() => checkIsImage(parsed.manifest, 'host/chart')).toThrow(
      'host/chart is no image, but an artifact of type application/vnd.cncf.helm.config.v1+json',
    )
    expect(() => checkIsImage(parseManifest(bytes(manifest)).manifest, 'host/image')).not.toThrow()
  })

  const refused: readonly (readonly [string, unknown, string | undefined, RegExp])[] = [
    ['a byte order mark', `\uFEFF${JSON.stringify(manifest)}`, undefined, /not JSON/],
    ['too large a document', ' '.repeat(MAX_MANIFEST_BYTES + 1), undefined, /bytes are more than/],
    [
      'a media type that contradicts its transport',
      manifest,
      MediaType.ociIndex,
      /the document says .*manifest.*, its transport says .*index/,
    ],
    ['schema version 1', { schemaVersion: 1 }, undefined, /schema version 1 are not supported/],
    ['no schema version', { config, layers: [] }, undefined, /unsupported schemaVersion/],
    ['manifest and index at once', { ...manifest, manifests: [] }, undefined, /expected the manifest of one image/],
    [
      'a layer with a path for a digest',
      { ...manifest, layers: [{ ...config, digest: 'sha256:../../x' }] },
      undefined,
      /layers\[0\]: unsupported digest/,
    ],
    ['a negative size', { ...manifest, config: { ...config, size: -1 } }, undefined, /config: invalid size -1/],
    ['no config', { ...manifest, config: null }, undefined, /config: a descriptor is missing/],
    ['an unknown media type', { ...manifest, mediaType: 'text/html' }, undefined, /is not that of an image/],
  ]
  for (const [name, value, contentType, message] of refused) {
    test(`${name} is refused`, () => {
      expect(() => parseManifest(bytes(value), contentType)).toThrow(message)
    })
  }
})

describe('index', () => {
  test('it is written compact, and read again', () => {
    const entry = {
      ...config,
      mediaType: MediaType.ociManifest,
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    }
    const written = serializeIndex(createIndex([entry]), 'compact')
    expect(Buffer.from(written).toString()).toBe(
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${digest}","size":1,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}`,
    )
    expect(parseIndex(written).index.manifests).toEqual([entry])
  })

  test('an index is told from a manifest', () => {
    expect(looksLikeIndex(bytes({ schemaVersion: 2, manifests: [] }))).toBe(true)
    expect(looksLikeIndex(bytes(manifest))).toBe(false)
  })

  test('an index that is a manifest too is refused', () => {
    expect(() => parseIndex(bytes({ schemaVersion: 2, manifests: [], layers: [] }))).toThrow(
      /index and a manifest at once/,
    )
  })
})

describe('media types', () => {
  test('layers are known by compression', () => {
    expect(layerCompression('application/vnd.docker.image.rootfs.diff.tar.gzip')).toBe('gzip')
    expect(layerCompression('application/vnd.oci.image.layer.nondistributable.v1.tar+zstd')).toBe('zstd')
    expect(layerCompression('application/octet-stream')).toBeUndefined()
    expect(layerMediaType('zstd')).toBe('application/vnd.oci.image.layer.v1.tar+zstd')
    expect(layerMediaType('none', { docker: true })).toBe('application/vnd.docker.image.rootfs.diff.tar')
  })

  test('they have twins in the other family', () => {
    expect(toFamily(MediaType.ociLayerGzip, 'docker')).toBe(MediaType.dockerLayerGzip)
    expect(toFamily(MediaType.dockerManifest, 'oci')).toBe(MediaType.ociManifest)
    expect(toFamily('text/plain', 'oci')).toBe('text/plain')
  })
})

describe('Go spellings', () => {
  test('times lose trailing zeros and say Z for UTC', () => {
    expect(normalizeTime('2024-01-02T03:04:05.120000000+00:00')).toBe('2024-01-02T03:04:05.12Z')
    expect(normalizeTime('2024-01-02T03:04:05.000Z')).toBe('2024-01-02T03:04:05Z')
    expect(normalizeTime('2024-01-02T03:04:05+02:00')).toBe('2024-01-02T03:04:05+02:00')
    expect(normalizeTime('yesterday')).toBeUndefined()
    expect(formatTime(1_500)).toBe('1970-01-01T00:00:01.5Z')
  })

  test('times are compared to the nanosecond, across zones', () => {
    expect(compareTimes('2024-01-01T00:00:00.000000002Z', '2024-01-01T00:00:00.000000001Z')).toBeGreaterThan(0)
    expect(compareTimes('2024-01-01T01:00:00+01:00', '2024-01-01T00:00:00Z')).toBe(0)
    expect(compareTimes('2023-12-31T23:59:59.9Z', '2024-01-01T00:00:00Z')).toBeLessThan(0)
  })

  test('control characters are spelled as Go spells them', () => {
    expect(goJson('\u0000\b\f\n\u001f\u007f/é')).toBe('"\\u0000\\b\\f\\n\\u001f\u007f/é"')
  })
})
