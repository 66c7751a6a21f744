import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { openStore } from '../../store/store.ts'
import type { Store } from '../../store/types.ts'
import { digestOf } from '../../oci/digest.ts'
import { fetchHttpFile, type FetchedFile } from './fetch.ts'
import { createFileClient, type FileClient } from './request.ts'
import { fileNameOf, readHttpSpec } from './spec.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let directory: TemporaryDirectory
let store: Store
let server: Server
let client: FileClient
let base: string
let seen: string[]
let handler: Handler

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = await openStore({ root: directory.join('store') })
  client = createFileClient()
  seen = []
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    handler(request, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  await client.close()
  await store.close()
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  await directory[Symbol.asyncDispose]()
})

function fetchUrl(
  url: string,
  attrs: Record<string, string> = {},
  secrets: Record<string, string> = {},
): Promise<FetchedFile> {
  const secret = async (id: string): Promise<Uint8Array | undefined> =>
    secrets[id] === undefined ? undefined : Buffer.from(secrets[id])
  return fetchHttpFile(readHttpSpec({ kind: 'source', identifier: url, attrs }), { store, client, secret })
}

const answer =
  (body: string | Buffer, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    response.writeHead(200, headers).end(body)

test('a file is stored by its digest, with the time and the name that the server says', async () => {
  handler = answer('hello', { 'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT' })
  const file = await fetchUrl(`${base}/a/file.txt?x=1`)
  expect(file).toEqual({ digest: digestOf('hello'), filename: 'file.txt', sizeBytes: 5, modifiedSec: 1_445_412_480 })
  expect(Buffer.from(store.blobs.read(file.digest)).toString()).toBe('hello')
})

test('a file without a time has none, an empty one is a file', async () => {
  handler = answer('')
  expect(await fetchUrl(`${base}/empty`)).toMatchObject({ sizeBytes: 0, modifiedSec: undefined })
})

test('what was packed for the way is unpacked, what is packed by itself is not', async () => {
  const packed = gzipSync('content')
  handler = answer(packed, { 'content-encoding': 'gzip' })
  expect((await fetchUrl(`${base}/x`)).digest).toBe(digestOf('content'))
  handler = answer(packed, { 'content-type': 'application/gzip' })
  expect((await fetchUrl(`${base}/x.gz`)).digest).toBe(digestOf(packed))
})

describe('asking again', () => {
  const withEtag: Handler = (request, response) => {
    if (request.headers['if-none-match']?.includes('"one"') === true) response.writeHead(304, { etag: '"one"' }).end()
    else response.writeHead(200, { etag: '"one"' }).end('body')
  }

  test('a file with an ETag is asked for with HEAD and not sent again', async () => {
    handler = withEtag
    const first = await fetchUrl(`${base}/f`)
    expect(await fetchUrl(`${base}/f`)).toEqual(first)
    expect(seen).toEqual(['GET /f', 'HEAD /f'])
  })

  test('a server without HEAD is asked with GET', async () => {
    handler = (request, response) =>
      request.method === 'HEAD' ? response.writeHead(405).end() : withEtag(request, response)
    const first = await fetchUrl(`${base}/f`)
    expect(await fetchUrl(`${base}/f`)).toEqual(first)
    expect(seen).toEqual(['GET /f', 'HEAD /f', 'GET /f'])
  })

  test('a file that changed is fetched', async () => {
    handler = withEtag
    await fetchUrl(`${base}/f`)
    handler = (_request, response) => response.writeHead(200, { etag: '"two"' }).end('other')
    expect((await fetchUrl(`${base}/f`)).digest).toBe(digestOf('other'))
  })

  test('a file that was pruned is fetched', async () => {
    handler = withEtag
    const { digest } = await fetchUrl(`${base}/f`)
    store.blobs.delete(digest)
    expect((await fetchUrl(`${base}/f`)).digest).toBe(digest)
    expect(seen).toEqual(['GET /f', 'GET /f'])
  })

  test('a file with a checksum that came from there is not asked for again', async () => {
    handler = answer('pinned')
    const attrs = { 'http.checksum': digestOf('pinned') }
    await fetchUrl(`${base}/f`, attrs)
    await fetchUrl(`${base}/f`, attrs)
    expect(seen).toEqual(['GET /f'])
  })

  // Asked of BuildKit: the file has the time that its own server says, whatever lies in the store.
  test('a file with a checksum whose bytes came from elsewhere has the time of its own server', async () => {
    const attrs = { 'http.checksum': digestOf('pinned') }
    handler = answer('pinned')
    expect(await fetchUrl(`${base}/undated`, attrs)).toMatchObject({ modifiedSec: undefined })
    handler = answer('pinned', { 'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT' })
    expect(await fetchUrl(`${base}/dated`, attrs)).toMatchObject({ modifiedSec: 1_445_412_480 })
  })
})

describe('redirects', () => {
  test('are followed, and a credential does not go to another host', async () => {
    const other = createServer((request, response) => response.end(`auth: ${request.headers.authorization ?? 'none'}`))
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
    const target = `http://127.0.0.1:${(other.address() as AddressInfo).port}/there`
    handler = (request, response) => {
      if (request.url === '/near') response.writeHead(302, { location: '/here' }).end()
      else if (request.url === '/far') response.writeHead(307, { location: target }).end()
      else response.end(`auth: ${request.headers.authorization ?? 'none'}`)
    }
    const secrets = { 'HTTP_AUTH_TOKEN_127.0.0.1': 'secret\n' }
    expect((await fetchUrl(`${base}/near`, {}, secrets)).digest).toBe(digestOf('auth: Bearer secret'))
    expect((await fetchUrl(`${base}/far`, {}, secrets)).digest).toBe(digestOf('auth: none'))
    await new Promise((done) => other.close(done))
  })

  test('that never end, or lead to another protocol, are refused', async () => {
    handler = (_request, response) => response.writeHead(302, { location: '/again' }).end()
    await expect(fetchUrl(`${base}/x`)).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringContaining('10 redirects'),
    })
    handler = (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()
    await expect(fetchUrl(`${base}/x`)).rejects.toMatchObject({ code: 'OCI_SOURCE_FAILED' })
  })
})

describe('failures', () => {
  test('a status is told', async () => {
    handler = (_request, response) => response.writeHead(404).end('no')
    await expect(fetchUrl(`${base}/x`)).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: 'failed to load cache key: invalid response status 404',
    })
  })

  test('another checksum is told with both, and nothing is kept', async () => {
    handler = answer('actual')
    await expect(fetchUrl(`${base}/x`, { 'http.checksum': digestOf('expected') })).rejects.toMatchObject({
      code: 'OCI_DIGEST_MISMATCH',
      message: `digest mismatch for ${base}/x: ${digestOf('actual')} (expected: ${digestOf('expected')})`,
    })
    expect(store.blobs.has(digestOf('actual'))).toBe(false)
  })

  test('an answer that is cut off is no file', async () => {
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('part')
      setTimeout(() => response.destroy(), 20)
    }
    await expect(fetchUrl(`${base}/x`)).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringContaining('cut off after 4 bytes'),
    })
  })

  test('an answer that comes in drops without end is left', async () => {
    const drops: NodeJS.Timeout[] = []
    handler = (_request, response) => {
      response.writeHead(200)
      drops.push(setInterval(() => response.write('x'), 10))
    }
    const file = readHttpSpec({ kind: 'source', identifier: `${base}/x`, attrs: {} })
    const slowness = { slowWindowMs: 100, slowBytes: 1000 }
    await expect(fetchHttpFile(file, { store, client, secret: async () => undefined, slowness })).rejects.toMatchObject(
      {
        code: 'OCI_SOURCE_FAILED',
        message: expect.stringContaining('the answer comes too slowly'),
      },
    )
    drops.forEach((drop) => clearInterval(drop))
  })

  test('a host that does not answer is told, without a password of the URL', async () => {
    await expect(fetchUrl('http://user:geheim@127.0.0.1:1/x')).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringMatching(/^(?!.*geheim).*connection refused/),
    })
  })

  test('a secret that is named and not given is told', async () => {
    await expect(fetchUrl(`${base}/x`, { 'http.authheadersecret': 'mine' })).rejects.toMatchObject({
      code: 'OCI_SECRET_NOT_FOUND',
    })
  })
})

test.each<[string, string | undefined, string | undefined, string]>([
  ['http://h/a/b.txt', undefined, undefined, 'b.txt'],
  ['http://h/v2/', undefined, undefined, 'v2'],
  ['http://h/', undefined, undefined, '__unnamed__'],
  ['http://h/a%20b', undefined, undefined, 'a b'],
  ['http://h/x', 'wanted', 'attachment; filename="offered"', 'wanted'],
  ['http://h/x', undefined, 'attachment; filename="offered.txt"', 'offered.txt'],
  ['http://h/x', undefined, 'attachment; filename="../../etc/passwd"', 'passwd'],
  ['http://h/x', undefined, "attachment; filename=plain; filename*=UTF-8''na%C3%AFve", 'naïve'],
  ['http://h/x', undefined, 'inline', 'x'],
  ['http://h/..%2f..', undefined, undefined, '__unnamed__'],
])('%s, wanted %s, offered %s is called %s', (url, wanted, disposition, expected) => {
  expect(fileNameOf(url, wanted, disposition)).toBe(expected)
})
