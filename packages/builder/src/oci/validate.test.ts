import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { temporaryDirectory, writeImageLayout, type TemporaryDirectory } from '@ts-oci/testing'
import { digestOf, type Digest } from './digest.ts'
import { validateLayout } from './validate.test.helper.ts'

let directory: TemporaryDirectory
beforeEach(async () => {
  directory = await temporaryDirectory()
  await writeImageLayout(directory.path, { layers: [Buffer.alloc(1024), Buffer.from('x'.repeat(512))] })
})
afterEach(async () => directory[Symbol.asyncDispose]())

const blob = (digest: string): string => join(directory.path, 'blobs/sha256', digest.slice(7))
const read = (digest: string): { config: { digest: string }; layers: { digest: string; size: number }[] } =>
  JSON.parse(readFileSync(blob(digest), 'utf8'))

function manifestDigest(): Digest {
  return JSON.parse(readFileSync(directory.join('index.json'), 'utf8')).manifests[0].digest
}

/** Writes a changed manifest and names it in the index. */
function replaceManifest(change: (manifest: ReturnType<typeof read>) => void): void {
  const manifest = read(manifestDigest())
  change(manifest)
  const bytes = JSON.stringify(manifest)
  writeFileSync(blob(digestOf(bytes)), bytes)
  const index = JSON.parse(readFileSync(directory.join('index.json'), 'utf8'))
  index.manifests[0] = { ...index.manifests[0], digest: digestOf(bytes), size: bytes.length }
  writeFileSync(directory.join('index.json'), JSON.stringify(index))
}

const messages = async (): Promise<string[]> =>
  (await validateLayout(directory.path)).map((problem) => `${problem.where}: ${problem.message}`)

test('a sound layout has no problem', async () => {
  expect(await messages()).toEqual([])
})

test('a missing layer is found', async () => {
  const layer = read(manifestDigest()).layers[1]!
  rmSync(blob(layer.digest))
  expect(await messages()).toEqual([`index.json.manifests[0].layers[1]: blob ${layer.digest} is missing`])
})

test('a changed byte is found', async () => {
  const { config } = read(manifestDigest())
  writeFileSync(blob(config.digest), readFileSync(blob(config.digest), 'utf8').replace('linux', 'Linux'))
  expect(await messages()).toEqual([expect.stringMatching(/^index\.json\.manifests\[0\]\.config: digest sha256:/)])
})

test('a cut-off layer is found', async () => {
  const layer = read(manifestDigest()).layers[0]!
  writeFileSync(blob(layer.digest), readFileSync(blob(layer.digest)).subarray(0, 10))
  expect(await messages()).toEqual([`index.json.manifests[0].layers[0]: size 10, not ${layer.size}`])
})

test('a layer that inflates to something else is found', async () => {
  const other = gzipSync('other')
  writeFileSync(blob(digestOf(other)), other)
  replaceManifest((manifest) => Object.assign(manifest.layers[0]!, { digest: digestOf(other), size: other.length }))
  expect(await messages()).toEqual([expect.stringMatching(/layers\[0\]: diffID sha256:.*, not sha256:/)])
})

test('a layer that does not inflate is found', async () => {
  const broken = gzipSync('x'.repeat(1000)).subarray(0, 20)
  writeFileSync(blob(digestOf(broken)), broken)
  replaceManifest((manifest) => Object.assign(manifest.layers[0]!, { digest: digestOf(broken), size: broken.length }))
  expect(await messages()).toEqual([expect.stringMatching(/layers\[0\]: cannot be read: unexpected end of file/)])
})

test('a layer that rootfs does not speak of is found', async () => {
  replaceManifest((manifest) => void manifest.layers.push(manifest.layers[0]!))
  expect(await messages()).toEqual(['index.json.manifests[0]: 3 layers, but 2 diff_ids'])
})

test('missing files of the layout are found', async () => {
  rmSync(directory.join('oci-layout'))
  rmSync(directory.join('index.json'))
  expect(await messages()).toEqual(['oci-layout: the file is missing', 'index.json: the file is missing'])
})
