import { afterEach, beforeEach, expect, test } from '@jest/globals'
import {
  describeWith,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { addImage } from '../store/store-rows.test.helper.ts'
import { openStore } from '../store/store.ts'
import { pull } from './pull.ts'
import { push } from './transfer.ts'
import { remove, tag } from './images.ts'

describeWith(['docker-registry'], 'a name that moves while its image is on its way', () => {
  let directory: TemporaryDirectory
  let registry: Registry
  let store: string
  let name: string
  beforeEach(async () => {
    directory = await temporaryDirectory('ts-oci-transfer-')
    registry = await startRegistry()
    store = directory.join('store')
    name = `${registry.host}/app:1`
    await using open = await openStore({ root: store })
    addImage(open, name, 'one')
    addImage(open, 'docker.io/library/other:latest', 'two')
  })
  afterEach(async () => {
    await registry[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  /** Pushes, and does something with the name once the manifest is on its way. */
  async function pushWhile(work: () => Promise<unknown>): Promise<void> {
    let waiting: Promise<unknown> | undefined
    await push(name, {
      store,
      insecureRegistries: [registry.host],
      onProgress: () => {
        waiting ??= work()
      },
    })
    expect(waiting).toBeDefined()
    await waiting
  }

  const find = async (image: string) => {
    await using open = await openStore({ root: store })
    return open.images.find(image)
  }

  test('a push leaves it where another process has put it', async () => {
    const other = await find('other')
    await pushWhile(() => tag('other', name, { store }))
    expect(await find(name)).toMatchObject({ digest: other?.digest, repoDigests: [] })
  })

  test('a push to another name sends the image there, and gives the store no such name', async () => {
    const target = `${registry.host}/elsewhere/app:2`
    const options = { store, insecureRegistries: [registry.host] }
    const { name: pushed, digest } = await push('other', { ...options, destination: target })
    expect(pushed).toBe(target)
    expect(await find(target)).toBeUndefined()
    const answer = await fetch(`http://${registry.host}/v2/elsewhere/app/manifests/2`, {
      method: 'HEAD',
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
    expect([answer.status, answer.headers.get('docker-content-digest')]).toEqual([200, digest])
  })

  test('a push brings no name back that was removed', async () => {
    await pushWhile(() => remove(name, { store }))
    expect(await find(name)).toBeUndefined()
  })

  test('what was pushed from here is not pulled again, as long as the tag leads to it', async () => {
    const options = { store, insecureRegistries: [registry.host] }
    const before = await find(name)
    const { digest } = await push(name, options)
    expect(digest).not.toBe(before?.digest)
    expect(await pull(name, options)).toMatchObject({ digest, isNew: false })
    expect((await find(name))?.digest).toBe(before?.digest)
    const other = await push('other', { ...options, destination: name })
    expect(await pull(name, options)).toMatchObject({ digest: other.digest, isNew: true })
    expect((await find(name))?.digest).toBe(other.digest)
  })

  test('a push that nobody disturbs notes where the image is, and a pull keeps what was noted', async () => {
    const { digest } = await push(name, { store, insecureRegistries: [registry.host] })
    const pinned = `${registry.host}/app@${digest}`
    expect((await find(name))?.repoDigests).toEqual([pinned])
    await push(name, { store, insecureRegistries: [registry.host] })
    expect((await find(name))?.repoDigests).toEqual([pinned])
    await pull(name, { store, insecureRegistries: [registry.host] })
    expect((await find(name))?.repoDigests).toEqual([pinned])
  })
})
