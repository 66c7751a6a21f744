import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf } from '../oci/digest.ts'
import { createRegistryClient } from './client.ts'

const bytes = Buffer.from('a layer')
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(bytes), size: bytes.length }

let server: Server
let host: string
let asked: string[]
/** What a mount is answered with, and whether the target has the blob. */
let answers: { mount: number; isThere: boolean; start?: number }
/** A body is taken when this settles. */
let gate: Promise<unknown>

beforeEach(async () => {
  asked = []
  gate = Promise.resolve()
  server = createServer((request, response) => {
    const { method = '', url = '' } = request
    if (url !== '/v2/') asked.push(`${method} ${url.replace(/^.*\/blobs\//, '').replace(descriptor.digest, 'DIGEST')}`)
    response.setHeader('location', '/v2/to/blobs/uploads/one')
    if (method === 'HEAD') response.statusCode = answers.isThere ? 200 : 404
    if (method === 'POST') response.statusCode = url.includes('mount=') ? answers.mount : (answers.start ?? 202)
    if (method === 'PUT') response.statusCode = 201
    if (method === 'DELETE') response.statusCode = 204
    request.on('end', () => void (method === 'PUT' ? gate : Promise.resolve()).then(() => response.end())).resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const open = async function* (): AsyncIterable<Uint8Array> {
  yield bytes
}

async function upload(mountFrom: readonly string[], isNew = false): Promise<string> {
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  return await client.uploadBlob(client.repository(`${host}/to`), descriptor, { open, mountFrom, isNew })
}

const MOUNT = 'POST uploads/?mount=DIGEST&from=sister'
const SEND = 'PUT uploads/one?digest=DIGEST'

test('a blob that a sister repository has takes one request', async () => {
  answers = { mount: 201, isThere: false }
  expect(await upload(['sister'])).toBe('mounted')
  expect(asked).toEqual([MOUNT])
})

test('where the registry begins an upload instead, the blob goes there', async () => {
  answers = { mount: 202, isThere: false }
  expect(await upload(['sister'])).toBe('uploaded')
  expect(asked).toEqual([MOUNT, 'HEAD DIGEST', SEND])
})

test('an upload that was begun for a blob that is there is taken back', async () => {
  answers = { mount: 202, isThere: true }
  expect(await upload(['sister'])).toBe('exists')
  expect(asked).toEqual([MOUNT, 'HEAD DIGEST', 'DELETE uploads/one'])
})

test.each([200, 204, 400, 403, 405, 409, 500, 501])('a mount that is answered with %i is no failure', async (mount) => {
  answers = { mount, isThere: false }
  expect(await upload(['sister'])).toBe('uploaded')
  expect(asked).toEqual([MOUNT, 'HEAD DIGEST', 'POST uploads/', SEND])
})

test('a blob that went to this repository before is looked for there alone', async () => {
  answers = { mount: 201, isThere: true }
  expect(await upload(['to', 'sister'])).toBe('exists')
  expect(asked).toEqual(['HEAD DIGEST'])
})

test('the upload of a new blob is begun while the registry is asked for it', async () => {
  answers = { mount: 201, isThere: false }
  expect(await upload([], true)).toBe('uploaded')
  expect(asked.slice(0, 2).toSorted()).toEqual(['HEAD DIGEST', 'POST uploads/'])
  expect(asked.slice(2)).toEqual([SEND])
})

test('an upload that was begun while the blob was made takes it, and no other is begun', async () => {
  answers = { mount: 201, isThere: false }
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  const repository = client.repository(`${host}/to`)
  const begun = client.beginUpload(repository)
  await begun
  expect(asked).toEqual(['POST uploads/'])
  expect(await client.uploadBlob(repository, descriptor, { open, isNew: true, begun })).toBe('uploaded')
  expect(asked).toEqual(['POST uploads/', 'HEAD DIGEST', SEND])
})

test('one that was begun for a blob which is there after all is taken back', async () => {
  answers = { mount: 201, isThere: true }
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  const repository = client.repository(`${host}/to`)
  const begun = client.beginUpload(repository)
  expect(await client.uploadBlob(repository, descriptor, { open, isNew: true, begun })).toBe('exists')
  expect(asked.at(-1)).toBe('DELETE uploads/one')
})

test('one that was begun for a blob which is mounted is taken back', async () => {
  answers = { mount: 201, isThere: false }
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  const repository = client.repository(`${host}/to`)
  const begun = client.beginUpload(repository)
  expect(await client.uploadBlob(repository, descriptor, { open, mountFrom: ['sister'], begun })).toBe('mounted')
  expect(asked.at(-1)).toBe('DELETE uploads/one')
})

test('a new blob that is there after all is not sent, and its upload is taken back', async () => {
  answers = { mount: 201, isThere: true }
  expect(await upload([], true)).toBe('exists')
  expect(asked.slice(2)).toEqual(['DELETE uploads/one'])
})

test('a registry that will not begin the upload of a new blob which is there has no say', async () => {
  answers = { mount: 201, isThere: true, start: 403 }
  expect(await upload([], true)).toBe('exists')
})

test('a registry that will not begin the upload of a new blob is asked once more, and its refusal told', async () => {
  answers = { mount: 201, isThere: false, start: 403 }
  await expect(upload([], true)).rejects.toMatchObject({ code: 'OCI_REGISTRY_DENIED' })
  expect(asked.filter((one) => one === 'POST uploads/')).toHaveLength(2)
})

test('a blob that is mounted does not wait for those whose bytes are on their way', async () => {
  answers = { mount: 201, isThere: false }
  const taken = Promise.withResolvers<void>()
  gate = taken.promise
  await using client = createRegistryClient({ environment: {}, retries: 0, maxUploads: 1 })
  const sent = client.uploadBlob(client.repository(`${host}/to`), descriptor, { open })
  while (!asked.includes(SEND)) await delay(5)
  const options = { open, mountFrom: ['sister'] }
  expect(await client.uploadBlob(client.repository(`${host}/from`), descriptor, options)).toBe('mounted')
  taken.resolve()
  expect(await sent).toBe('uploaded')
})
