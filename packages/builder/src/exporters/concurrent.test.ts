import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import {
  entry,
  exportFixture,
  TEST_LAYERS,
  testImage,
  type ExportFixture,
  type TestImage,
} from './memory-image.test.helper.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[]
}

function namesOf(layout: string): readonly string[] {
  const index = JSON.parse(readFileSync(`${layout}/index.json`, 'utf8')) as Index
  return index.manifests.map(({ annotations }) => annotations['io.containerd.image.name'] ?? '').sort()
}

/** Digests that the documents of a layout name and that it does not have. */
function missingBlobs(layout: string): readonly string[] {
  const blob = (digest: string): string => `${layout}/blobs/sha256/${digest.slice('sha256:'.length)}`
  const { manifests } = JSON.parse(readFileSync(`${layout}/index.json`, 'utf8')) as Index
  return manifests.flatMap(({ digest }) => {
    if (!existsSync(blob(digest))) return [digest]
    const named = readFileSync(blob(digest), 'utf8').match(/sha256:[0-9a-f]{64}/g) ?? []
    return named.filter((one) => !existsSync(blob(one)))
  })
}

describe('exports to one layout directory at once', () => {
  test.each([true, false])('all find their way into its index (it is there before: %s)', async (isThere) => {
    if (isThere) await exportTo({ type: 'oci', tar: false, dest: 'layout', name: 'before:1' })
    const names = Array.from({ length: 8 }, (_, i) => `image${i}:1`)
    await Promise.all(names.map((name) => exportTo({ type: 'oci', tar: false, dest: 'layout', name })))
    const expected = [...(isThere ? ['before:1'] : []), ...names].map((name) => `docker.io/library/${name}`)
    expect(namesOf(directory.join('layout'))).toEqual(expected.sort())
    expect(missingBlobs(directory.join('layout'))).toEqual([])
    expect(readdirSync(directory.path).filter((name) => name.startsWith('.'))).toEqual([])
    expect(readdirSync(directory.join('layout')).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])
  })

  test('one that fails takes no blob away that another counts on', async () => {
    await using elsewhere = await temporaryDirectory()
    await exportTo({ type: 'oci', tar: false, dest: 'layout', name: 'before:1' })
    const more = [...TEST_LAYERS, [entry('more', { text: 'more' })]]
    const good = testImage({ layers: more, directory: elsewhere.path, baseCount: 1 })
    const failing: TestImage = {
      ...good,
      layers: {
        ...good.layers,
        async *open(digest, signal) {
          yield* good.layers.open(digest, signal)
          await delay(100)
          throw new Error('gone')
        },
      },
    }
    const failed = exportTo({ type: 'oci', tar: false, dest: 'layout', name: 'bad:1' }, { from: failing })
    const failure = expect(failed).rejects.toThrow('gone')
    await delay(30)
    await exportTo({ type: 'oci', tar: false, dest: 'layout', name: 'good:1' }, { from: good })
    await failure
    expect(namesOf(directory.join('layout'))).toEqual(['docker.io/library/before:1', 'docker.io/library/good:1'])
    expect(missingBlobs(directory.join('layout'))).toEqual([])
  })
})

test('exports to one new directory of files at once leave the files of all', async () => {
  const images = await Promise.all(
    Array.from({ length: 4 }, async (_, i) => {
      const own = await temporaryDirectory()
      return { own, image: testImage({ layers: [[entry(`file${i}`, { text: 'x' })]], directory: own.path }) }
    }),
  )
  try {
    await Promise.all(images.map(({ image }) => exportTo({ type: 'local', dest: 'out' }, { from: image })))
    expect(readdirSync(directory.join('out')).sort()).toEqual(['file0', 'file1', 'file2', 'file3'])
  } finally {
    for (const { own } of images) await own[Symbol.asyncDispose]()
  }
})

test('a directory that is there is written to inside: what is beside it may not be ours', async () => {
  mkdirSync(directory.join('parent/out'), { recursive: true })
  const seen = new Set<string>()
  const watched: TestImage = {
    ...fixture.image,
    async *readFile(file, signal) {
      for (const name of readdirSync(directory.join('parent'))) seen.add(name)
      yield* fixture.image.readFile(file, signal)
    },
  }
  await exportTo({ type: 'local', dest: 'parent/out' }, { from: watched })
  expect([...seen]).toEqual(['out'])
  expect(readdirSync(directory.join('parent/out')).filter((name) => name.startsWith('.'))).toEqual([])
})

describe('an archive', () => {
  test('that replaces one keeps whom it is for', async () => {
    writeFileSync(directory.join('a.tar'), 'old', { mode: 0o600 })
    await exportTo({ type: 'oci', dest: 'a.tar' })
    expect(statSync(directory.join('a.tar')).mode & 0o777).toBe(0o600)
  })

  test('named by a link to nothing is made where the link leads', async () => {
    mkdirSync(directory.join('real'))
    symlinkSync('real/b.tar', directory.join('a.tar'))
    await exportTo({ type: 'tar', dest: 'a.tar' })
    expect(lstatSync(directory.join('a.tar')).isSymbolicLink()).toBe(true)
    expect(statSync(directory.join('real/b.tar')).size).toBeGreaterThan(1000)
  })
})
