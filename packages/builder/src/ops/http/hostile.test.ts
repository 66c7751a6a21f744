import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from '../../api/build.ts'
import type { ProgressEvent } from '../../base/progress.ts'

let directory: TemporaryDirectory
let server: Server
let handler: (request: IncomingMessage, response: ServerResponse) => void
let port: number
let made = 0

beforeEach(async () => {
  directory = await temporaryDirectory()
  server = createServer((request, response) => handler(request, response))
  await new Promise<void>((done) => server.listen(0, '::', done))
  ;({ port } = server.address() as AddressInfo)
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  await directory[Symbol.asyncDispose]()
})

interface Outcome {
  readonly error: Error | undefined
  readonly files: string | undefined
  readonly said: string
}

/** Builds `ADD`, and answers the tar of what came, as text, with all that was said. */
async function add(line: string): Promise<Outcome> {
  const context = directory.join(`context-${++made}`)
  mkdirSync(context)
  writeFileSync(`${context}/Dockerfile`, `FROM scratch\n${line}\n`)
  const dest = directory.join(`out-${made}.tar`)
  let said = ''
  const onProgress = (event: ProgressEvent): void => {
    // The name of a vertex is the user's own text.
    if (event.type !== 'vertex') said += JSON.stringify(event)
  }
  const outcome = await build({
    context,
    store: directory.join('store'),
    outputs: [{ type: 'tar', dest }],
    onProgress,
  }).then(
    () => undefined,
    (error: unknown) => error as Error,
  )
  const files = outcome === undefined ? readFileSync(dest, 'latin1') : undefined
  return {
    error: outcome,
    files,
    said: said + (outcome === undefined ? '' : `${outcome.message}${JSON.stringify(outcome)}`),
  }
}

const url = (path: string): string => `http://127.0.0.1:${port}${path}`

test.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'data:,x', 'http://', 'http://[bad/'])(
  'a redirect to %s is refused',
  async (location) => {
    handler = (_, response) => void response.writeHead(302, { location }).end()
    expect((await add(`ADD ${url('/x')} /`)).error).toMatchObject({ code: 'OCI_SOURCE_FAILED' })
  },
)

test('a password goes to its own host, along no redirect, and into no message', async () => {
  const seen: (string | undefined)[] = []
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(302, { location: url('/back') }).end()
  })
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  handler = (request, response) => {
    seen.push(request.headers.authorization)
    if (request.url === '/back') response.writeHead(500).end()
    else response.writeHead(302, { location: `http://127.0.0.1:${(other.address() as AddressInfo).port}/` }).end()
  }
  const { error, said } = await add(`ADD ${url('/x').replace('://', '://user:hunter2@')} /`)
  other.close()
  expect(error).toMatchObject({ code: 'OCI_SOURCE_FAILED' })
  const basic = Buffer.from('user:hunter2').toString('base64')
  expect(seen.slice(0, 3)).toEqual([`Basic ${basic}`, undefined, undefined])
  expect(said).not.toContain('hunter2')
  expect(said).not.toContain(basic)
})

test.each(['user:p%zz@', 'user:@', ':@', 'token@'])(
  'a strange user part %s does no harm and is not told',
  async (user) => {
    handler = (_, response) => void response.end('x')
    const { error, said } = await add(`ADD ${url('/x').replace('://', `://${user}`)} /`)
    expect(error).toBeUndefined()
    if (user !== ':@' && user !== 'user:@') expect(said).not.toContain(user)
  },
)

test('progress names an address without its password', async () => {
  handler = (_, response) => void response.end('content')
  const { error, said } = await add(`ADD ${url('/x').replace('://', '://user:hunter2@')} /`)
  expect(error).toBeUndefined()
  expect(said).not.toContain('hunter2')
})

test.each(['/..', '/%2e%2e', '/a%2F..%2F..', '/%00', '/a%00b', '/.', '/', ''])(
  'the path %s of an address names no file outside',
  async (path) => {
    handler = (_, response) => void response.end('content')
    const { error, files } = await add(`ADD ${url(path)} /x/`)
    if (error !== undefined) expect(error).toMatchObject({ code: expect.stringMatching(/^OCI_/) })
    else expect(files).toMatch(/^x\//)
    expect(files ?? '').not.toMatch(/\.\.\//)
  },
)

test('a name that no file system takes is refused', async () => {
  handler = (_, response) => void response.end('content')
  expect((await add(`ADD ${url(`/${'a'.repeat(300)}`)} /x/`)).error).toMatchObject({
    message: expect.stringContaining('file name too long'),
  })
})

test.each([
  'Fri, 31 Dec 9999 23:59:59 GMT',
  'Mon, 01 Jan 0001 00:00:00 GMT',
  '1',
  '2020',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'x'.repeat(10_000),
  'Wed, 99 Foo 2015 99:99:99 GMT',
])('Last-Modified %s does no harm', async (date) => {
  handler = (_, response) => void response.writeHead(200, { 'last-modified': date }).end('content')
  const { error, files } = await add(`ADD ${url('/file')} /`)
  expect(error).toBeUndefined()
  expect(files).toContain('content')
})

test.each<[string, (response: ServerResponse) => void]>([
  ['304 to who has nothing', (response) => void response.writeHead(304, { etag: '"x"' }).end()],
  [
    'a body that is cut',
    (response) => void response.writeHead(200, { 'content-length': '100' }).write('x', () => response.destroy()),
  ],
  ['gzip that is none', (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip')],
  [
    'gzip that is cut',
    (response) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1000)).subarray(0, 15)),
  ],
  ['redirects without end', (response) => void response.writeHead(307, { location: '/again' }).end()],
  ['403', (response) => void response.writeHead(403).end()],
])('%s is one clear error', async (_what, answer) => {
  handler = (_, response) => answer(response)
  expect((await add(`ADD ${url('/x')} /`)).error).toMatchObject({ code: 'OCI_SOURCE_FAILED', hint: expect.any(String) })
})

test('a server that packs for the way also answers whether the file is the same', async () => {
  const seen: (string | undefined)[] = []
  handler = (request, response) => {
    seen.push(request.method)
    response.writeHead(200, { etag: '"1"', 'content-encoding': 'gzip' })
    response.end(request.method === 'HEAD' ? undefined : gzipSync('content'))
  }
  expect((await add(`ADD ${url('/x')} /`)).files).toContain('content')
  expect((await add(`ADD ${url('/x')} /`)).files).toContain('content')
  expect(seen).toEqual(['GET', 'HEAD'])
})

test('what another file has is not what the checksum wants', async () => {
  handler = (_, response) => void response.end('content')
  expect((await add(`ADD --checksum=sha256:${'0'.repeat(64)} ${url('/x')} /`)).error).toMatchObject({
    code: 'OCI_DIGEST_MISMATCH',
  })
})

test('an address of IPv6 is asked', async () => {
  handler = (_, response) => void response.end('content')
  expect((await add(`ADD http://[::1]:${port}/x /`)).files).toContain('content')
})

test.each(['http://[bad/x', 'http://:80/x', 'https://%/x.git', 'http://a b/x'])(
  '%s is told as no address',
  async (text) => {
    expect((await add(`ADD ["${text}", "/"]`)).error).toMatchObject({ code: expect.stringMatching(/^OCI_/) })
  },
)
