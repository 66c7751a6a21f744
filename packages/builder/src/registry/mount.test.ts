import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { digestOf } from '../oci/digest.ts'
import { createRegistryClient } from './client.ts'

const bytes = Buffer.from('a layer')
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(bytes), size: bytes.length }

let server: Server
let host: string
let asked: string[]
/** What a mount is answered with, and whether the target has the blob. */
let answers: { mount: number; isThere: boolean }

beforeEach(async () => {
  asked = []
  server = createServer((request, response) => {
    const { method = '', url = '' } = request
    if (url !== '/v2/') asked.push(`${method} ${url.replace(/^.*\/blobs\//, '').replace(descriptor.digest, 'DIGEST')}`)
    response.setHeader('location', '/v2/to/blobs/uploads/one')
    if (method === 'HEAD') response.statusCode = answers.isThere ? 200 : 404
    if (method === 'POST') response.statusCode = url.includes('mount=') ? answers.mount : 202
    if (method === 'PUT') response.statusCode = 201
    if (method === 'DELETE') response.statusCode = 204
    request.on('end', () => response.end()).resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function upload(mountFrom: readonly string[]): Promise<string> {
  await using client = createRegistryClient({ environment: {}, retries: 0 })
  const open = async function* (): AsyncIterable<Uint8Array> {
    yield bytes
  }
  return await client.uploadBlob(client.repository(`${host}/to`), descriptor, { open, mountFrom })
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
