import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { digestOf } from '../../oci/digest.ts'
import {
  TEST_LAYERS,
  exportFixture,
  testContext,
  testDefaults,
  testImage,
  type ExportFixture,
  type TestImage,
} from '../memory-image.test.helper.ts'
import { prepareOutputs } from '../prepare.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let image: TestImage
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, image, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

function json(path: string): { readonly [key: string]: unknown } {
  return JSON.parse(readFileSync(path, 'utf8'))
}

async function untar(archive: string): Promise<string> {
  const into = directory.join(`${archive}.d`)
  mkdirSync(into)
  await checkTool('tar', ['-xf', directory.join(archive), '-C', into])
  return into
}

describe('type=oci', () => {
  test('the archive is sorted, without times and owned by 0', async () => {
    await exportTo({ type: 'oci', dest: 'app.tar' })
    const listing = await checkTool('tar', ['--numeric-owner', '--utc', '-tvf', directory.join('app.tar')])
    const lines = listing
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/))
    expect(lines.map((line) => line[1])).toEqual(lines.map(() => '0/0'))
    expect(lines.map((line) => line[3])).toEqual(lines.map(() => '1970-01-01'))
    const names = lines.map((line) => line[5] ?? '')
    expect(names).toEqual([...names].sort())
    expect([names[0], names[1], names.at(-2), names.at(-1)]).toEqual([
      'blobs/',
      'blobs/sha256/',
      'index.json',
      'oci-layout',
    ])
  })

  test('index.json has an entry for each name, as BuildKit writes it', async () => {
    const result = await exportTo({ type: 'oci', dest: 'app.tar', name: 'my-app:1,localhost:5000/x/y' })
    const index = readFileSync(join(await untar('app.tar'), 'index.json'), 'utf8')
    const descriptor = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${result.digest}","size":${result.descriptor?.size},"annotations"`
    const end = '"platform":{"architecture":"amd64","os":"linux"}}'
    expect(index).toBe(
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[${descriptor}:{"io.containerd.image.name":"docker.io/library/my-app:1","org.opencontainers.image.created":"2025-05-06T07:08:09Z","org.opencontainers.image.ref.name":"1"},${end},${descriptor}:{"io.containerd.image.name":"localhost:5000/x/y:latest","org.opencontainers.image.created":"2025-05-06T07:08:09Z","org.opencontainers.image.ref.name":"latest"},${end}]}`,
    )
    expect(result.names).toEqual(['docker.io/library/my-app:1', 'localhost:5000/x/y:latest'])
  })

  test('on standard output it is the same archive', async () => {
    await exportTo({ type: 'oci', dest: 'app.tar' })
    const context = testContext()
    const [bytes] = await Promise.all([
      buffer(context.stdout),
      exportTo({ type: 'oci', dest: '-' }, { context }).then(() => context.stdout.end()),
    ])
    expect(digestOf(bytes)).toBe(digestOf(readFileSync(directory.join('app.tar'))))
  })

  test('an archive does not go to a terminal', async () => {
    await expect(prepareOutputs([{ type: 'oci' }], testDefaults('/', { isTerminal: true }))).rejects.toThrow(
      /refusing to write an archive to the terminal/,
    )
  })

  test('layers are gzip unless something else is asked for', async () => {
    await exportTo({ type: 'oci', dest: 'a.tar' })
    await exportTo({
      type: 'oci',
      dest: 'b.tar',
      compression: 'zstd',
      'compression-level': '19',
      'force-compression': true,
    })
    expect(image.forms).toEqual([
      { compression: 'gzip' },
      { compression: 'gzip' },
      { compression: 'zstd', level: 19, force: true },
      { compression: 'zstd', level: 19, force: true },
    ])
  })

  test('annotations land on manifest and index entry', async () => {
    await exportTo(
      {
        type: 'oci',
        dest: 'a',
        tar: false,
        'annotation.a': '1',
        'annotation-manifest[linux/amd64].b': '2',
        'annotation-manifest-descriptor.c': '3',
      },
      { defaults: { annotations: { d: '4' } } },
    )
    const index = JSON.parse(readFileSync(directory.join('a/index.json'), 'utf8'))
    expect(index.manifests[0].annotations).toMatchObject({ c: '3' })
    const manifest = json(directory.join('a/blobs/sha256', index.manifests[0].digest.slice(7)))
    expect(manifest['annotations']).toEqual({ a: '1', b: '2', d: '4' })
  })

  test('an annotation for another platform is refused', async () => {
    await expect(exportTo({ type: 'oci', dest: 'a', 'annotation[linux/arm64].b': '2' })).rejects.toThrow(
      'invalid annotation: no platform linux/arm64 found in source',
    )
  })

  test('an epoch rules all times, and rewritten layers say so', async () => {
    await exportTo({ type: 'oci', dest: 'a', tar: false, 'source-date-epoch': '1000000000', 'rewrite-timestamp': true })
    const index = JSON.parse(readFileSync(directory.join('a/index.json'), 'utf8'))
    expect(index.manifests[0].annotations['org.opencontainers.image.created']).toBe('2001-09-09T01:46:40Z')
    const manifest = JSON.parse(
      readFileSync(directory.join('a/blobs/sha256', index.manifests[0].digest.slice(7)), 'utf8'),
    )
    expect(manifest.layers.map((layer: { annotations?: object }) => layer.annotations)).toEqual([
      undefined,
      { 'buildkit/rewritten-timestamp': '1000000000' },
    ])
    const config = JSON.parse(readFileSync(directory.join('a/blobs/sha256', manifest.config.digest.slice(7)), 'utf8'))
    expect(config.created).toBe('2001-09-09T01:46:40Z')
    expect(image.forms.at(-1)).toMatchObject({ rewriteTimestampSec: 1_000_000_000 })
  })

  test('a blob that is not what its digest says fails the export and leaves nothing', async () => {
    const damaged: TestImage = {
      ...image,
      layers: {
        ...image.layers,
        open: async function* () {
          yield Buffer.from('damaged')
        },
      },
    }
    await expect(exportTo({ type: 'oci', dest: 'app.tar' }, { from: damaged })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
    await expect(exportTo({ type: 'oci', dest: 'layout', tar: false }, { from: damaged })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
    expect(readdirSync(directory.path).filter((name) => !name.startsWith('layer-'))).toEqual([])
  })

  test('a failed export leaves the archive that was there', async () => {
    writeFileSync(directory.join('app.tar'), 'old')
    const failing: TestImage = {
      ...image,
      layers: {
        ...image.layers,
        open: () => {
          throw new Error('gone')
        },
      },
    }
    await expect(exportTo({ type: 'oci', dest: 'app.tar' }, { from: failing })).rejects.toThrow('gone')
    expect(readFileSync(directory.join('app.tar'), 'utf8')).toBe('old')
  })

  test('a symlink to an archive is followed, and stays a symlink', async () => {
    writeFileSync(directory.join('real.tar'), '')
    symlinkSync('real.tar', directory.join('app.tar'))
    await exportTo({ type: 'oci', dest: 'app.tar' })
    expect(lstatSync(directory.join('app.tar')).isSymbolicLink()).toBe(true)
    expect(statSync(directory.join('real.tar')).size).toBeGreaterThan(1000)
  })

  test('a missing directory is said to be missing', async () => {
    await expect(exportTo({ type: 'oci', dest: 'no/app.tar' })).rejects.toMatchObject({
      code: 'OCI_EXPORT_FAILED',
      hint: 'make its directory first',
    })
  })

  test('a layout keeps the other images that are in it', async () => {
    await exportTo({ type: 'oci', dest: 'layout', tar: false, name: 'a:1' })
    await using elsewhere = await temporaryDirectory()
    const other = testImage({ layers: TEST_LAYERS.slice(1), directory: elsewhere.path })
    await exportTo({ type: 'oci', dest: 'layout', tar: false, name: 'b:2' }, { from: other })
    await exportTo({ type: 'oci', dest: 'layout', tar: false, name: 'b:2' })
    const index = JSON.parse(readFileSync(directory.join('layout/index.json'), 'utf8'))
    expect(
      index.manifests.map(
        (item: { annotations: Record<string, string> }) => item.annotations['io.containerd.image.name'],
      ),
    ).toEqual(['docker.io/library/a:1', 'docker.io/library/b:2'])
  })

  testWith(['skopeo'], 'skopeo copies the archive, the layout, every compression', async () => {
    for (const compression of ['gzip', 'zstd', 'uncompressed']) {
      await exportTo({ type: 'oci', dest: `${compression}.tar`, compression })
      await checkTool('skopeo', [
        'copy',
        '-q',
        `oci-archive:${directory.join(`${compression}.tar`)}`,
        `dir:${directory.join(compression)}`,
      ])
    }
    await exportTo({ type: 'oci', dest: 'layout', tar: false })
    await checkTool('skopeo', ['copy', '-q', `oci:${directory.join('layout')}:1`, `dir:${directory.join('copied')}`])
  })

  testWith(['umoci', 'root'], 'umoci unpacks the layout', async () => {
    await exportTo({ type: 'oci', dest: 'layout', tar: false })
    await checkTool('umoci', ['unpack', '--image', `${directory.join('layout')}:1`, directory.join('bundle')])
    expect(readFileSync(directory.join('bundle/rootfs/etc/new'), 'utf8')).toBe('new')
    expect(statSync(directory.join('bundle/rootfs/bin/tool')).mode & 0o7777).toBe(0o4755)
  })

  testWith(['crane'], 'crane validates the archive', async () => {
    await exportTo({ type: 'docker', dest: 'app.tar' })
    await checkTool('crane', ['validate', '--tarball', directory.join('app.tar')])
  })
})
