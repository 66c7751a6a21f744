import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect } from '@jest/globals'
import { describeWith, tarOfDirectory, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { startExecutor } from '@ts-oci/runtime'
import { openStore } from '../store/store.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from './layer-forms.ts'

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A layer in a registry that is asked by a function, and its tree. */
async function treeOf(
  directory: TemporaryDirectory,
  options: { readonly diffId?: string; readonly needsTree: boolean; readonly trailing?: Uint8Array },
): Promise<{ readonly tree: string; readonly hasTable: boolean }> {
  mkdirSync(directory.join('root/a'), { recursive: true })
  writeFileSync(directory.join('root/a/b'), 'content')
  const tar = await tarOfDirectory(directory.join('root'))
  const blob = Buffer.concat([gzipSync(tar), options.trailing ?? Buffer.alloc(0)])
  const pieceBytes = options.trailing === undefined ? 100 : 65_536
  await using store = await openStore({ root: directory.join('store') })
  await using started = await startExecutor({
    isolation: 'namespace',
    stateDirectory: directory.join('store/run'),
    jobLimits: () => ({ base: store.root, writable: [directory.join('store/tmp')], readable: [store.root] }),
  })
  const executor = async (): Promise<typeof started> => started
  const { signal } = new AbortController()
  const forms = createLayerForms({
    store,
    jobs: createJobRunner({ executor, signal }),
    executor,
    signal,
    fetcher: async ({ onChunk }) => {
      const writer = store.blobs.createWriter()
      for (let at = 0; at < blob.length; at += pieceBytes) {
        const chunk = blob.subarray(at, at + pieceBytes)
        await writer.write(chunk)
        await onChunk?.(chunk)
      }
      await writer.commit()
      return true
    },
  })
  const descriptor = { mediaType: MediaType.ociLayerGzip, digest: digestOf(blob) as Digest, size: blob.length }
  const [layer] = forms.fromImage(
    [{ descriptor, diffId: (options.diffId ?? digestOf(tar)) as DiffID }],
    'localhost/x:1',
    undefined,
    options.needsTree,
  )
  const tree = await forms.tree(layer!)
  return { tree, hasTable: (await forms.table(layer!)).entries.some((entry) => entry.path === 'a/b') }
}

describeWith(['root', 'tar'], 'a layer that a step needs', () => {
  for (const needsTree of [true, false]) {
    testWith([], `has its tree and its table after it was fetched (unpacked on its way: ${needsTree})`, async () => {
      await using directory = await temporaryDirectory()
      const { tree, hasTable } = await treeOf(directory, { needsTree })
      expect(readFileSync(`${tree}/a/b`, 'utf8')).toBe('content')
      expect(hasTable).toBe(true)
      expect(readdirSync(directory.join('store/tmp')).filter((name) => /tree/.test(name))).toEqual([])
    })
  }

  testWith([], 'does not wait for anybody to read megabytes that follow its end', async () => {
    await using directory = await temporaryDirectory()
    const { tree } = await treeOf(directory, { needsTree: true, trailing: Buffer.alloc(5 << 20, 'x') })
    expect(readFileSync(`${tree}/a/b`, 'utf8')).toBe('content')
  })

  testWith([], 'has no tree when its content is not what the image says', async () => {
    await using directory = await temporaryDirectory()
    await expect(treeOf(directory, { needsTree: true, diffId: `sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
    })
    expect(readdirSync(directory.join('store/snapshots'))).toEqual([])
    expect(existsSync(directory.join('store/tables')) ? readdirSync(directory.join('store/tables')) : []).toEqual([])
  })
})

describeWith(
  ['root', 'tar'],
  'two builds of which one fetches a layer to unpack it and the other wants its tree',
  () => {
    testWith([], 'both get it, whoever is first', async () => {
      await using directory = await temporaryDirectory()
      mkdirSync(directory.join('root/a'), { recursive: true })
      writeFileSync(directory.join('root/a/b'), 'content')
      const tar = await tarOfDirectory(directory.join('root'))
      const blob = gzipSync(tar)
      const descriptor = { mediaType: MediaType.ociLayerGzip, digest: digestOf(blob) as Digest, size: blob.length }
      mkdirSync(directory.join('run'), { recursive: true })
      await using started = await startExecutor({
        isolation: 'namespace',
        stateDirectory: directory.join('run'),
        signal: new AbortController().signal,
      })
      const executor = async (): Promise<typeof started> => started
      const signal = AbortSignal.timeout(20_000)
      await using store = await openStore({ root: directory.join('store') })
      let fetches = 0
      const formsOf = (onFetch: () => Promise<unknown>): ReturnType<typeof createLayerForms> =>
        createLayerForms({
          store,
          jobs: createJobRunner({ executor, signal }),
          executor,
          signal,
          fetcher: async ({ onChunk }) => {
            fetches++
            await onFetch()
            const writer = store.blobs.createWriter()
            await writer.write(blob)
            await onChunk?.(blob)
            await writer.commit()
            return true
          },
        })
      const layer = { descriptor, diffId: digestOf(tar) as DiffID }
      const fetching = Promise.withResolvers<void>()
      const other = formsOf(async () => undefined)
      const first = formsOf(async () => {
        fetching.resolve()
        await new Promise((resolve) => setTimeout(resolve, 100))
      })
      const one = first.tree(first.fromImage([layer], 'localhost/x:1', undefined, true)[0]!)
      // While the first holds the blob, the second begins with the tree.
      await fetching.promise
      const two = other.tree(other.fromImage([layer], 'localhost/x:1', undefined, false)[0]!)
      const [tree, same] = await Promise.all([one, two])
      expect(same).toBe(tree)
      expect(readFileSync(`${tree}/a/b`, 'utf8')).toBe('content')
      expect(fetches).toBe(1)
    })
  },
)
