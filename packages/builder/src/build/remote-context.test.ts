import { execFileSync } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from '../api/build.ts'
import type { BuildOptions, BuildResult } from './public-types.ts'

let directory: TemporaryDirectory
let server: Server
let served: Map<string, Buffer>
let base: string

beforeEach(async () => {
  directory = await temporaryDirectory()
  served = new Map()
  server = createServer((request, response) => {
    const body = served.get(request.url ?? '')
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  mkdirSync(directory.join('source/sub'), { recursive: true })
  writeFileSync(directory.join('source/Dockerfile'), 'FROM scratch\nCOPY sub /copied\n')
  writeFileSync(directory.join('source/other.Dockerfile'), 'FROM scratch\nCOPY sub/file /other\n')
  writeFileSync(directory.join('source/sub/file'), 'content')
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  await directory[Symbol.asyncDispose]()
})

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const sourceTar = (): Buffer => execFileSync('tar', ['-C', directory.join('source'), '-c', '.'])

/** Builds to a tar and lists it. */
async function buildFiles(options: BuildOptions): Promise<{ readonly files: string[]; readonly result: BuildResult }> {
  const dest = directory.join('out.tar')
  const result = await build({ store: directory.join('store'), outputs: [{ type: 'tar', dest }], ...options })
  return { files: execFileSync('tar', ['tf', dest], { encoding: 'utf8' }).trim().split('\n'), result }
}

const statuses = (result: BuildResult): string[] =>
  result.vertices.filter((vertex) => !vertex.name.startsWith('[internal]')).map((vertex) => vertex.status)

testWith(['tar'], 'an archive on standard input is the context, and the same one again is cached', async () => {
  const options = (): BuildOptions => ({ context: '-', stdin: streamOf(gzipSync(sourceTar())) })
  expect((await buildFiles(options())).files).toEqual(['copied/', 'copied/file'])
  const again = await buildFiles(options())
  expect(statuses(again.result)).toEqual(['cached'])
})

testWith(['tar'], 'the Dockerfile of an archive is named from its root', async () => {
  const { files } = await buildFiles({ context: '-', file: 'other.Dockerfile', stdin: streamOf(sourceTar()) })
  expect(files).toEqual(['other'])
  await expect(buildFiles({ context: '-', file: 'none', stdin: streamOf(sourceTar()) })).rejects.toMatchObject({
    code: 'OCI_DOCKERFILE_NOT_FOUND',
  })
})

testWith(['tar'], 'an archive behind a URL is the context', async () => {
  served.set('/context.tar.gz', gzipSync(sourceTar()))
  expect((await buildFiles({ context: `${base}/context.tar.gz` })).files).toEqual(['copied/', 'copied/file'])
  await expect(buildFiles({ context: `${base}/none` })).rejects.toMatchObject({ code: 'OCI_SOURCE_FAILED' })
})

testWith(['tar'], 'a Dockerfile behind a URL is built beside itself', async () => {
  served.set('/Dockerfile', Buffer.from('FROM scratch\nCOPY context /kept\n'))
  expect((await buildFiles({ context: `${base}/Dockerfile` })).files).toEqual(['kept'])
})

testWith(['tar'], 'a Dockerfile on standard input goes with a context of any kind, or with an empty one', async () => {
  const text = Buffer.from('FROM scratch\nCOPY sub/file none* /x/\n')
  expect((await buildFiles({ context: directory.join('source'), file: '-', stdin: streamOf(text) })).files).toEqual([
    'x/',
    'x/file',
  ])
  served.set('/context.tar', sourceTar())
  expect((await buildFiles({ context: `${base}/context.tar`, file: '-', stdin: streamOf(text) })).files).toEqual([
    'x/',
    'x/file',
  ])
  await expect(buildFiles({ context: '-', stdin: streamOf(text) })).rejects.toMatchObject({
    code: 'OCI_COPY_SOURCE_NOT_FOUND',
  })
})

test('standard input cannot be both', async () => {
  await expect(buildFiles({ context: '-', file: '-', stdin: streamOf(Buffer.from('x')) })).rejects.toMatchObject({
    code: 'OCI_OPTION_INVALID',
  })
})

test('a repository whose address says what nothing means, or two things, is refused with its words', async () => {
  const refused = (context: string): Promise<unknown> => build({ context, store: directory.join('store') })
  await expect(refused(`${base}/r.git?foo=bar`)).rejects.toMatchObject({
    code: 'OCI_OPTION_INVALID',
    message: expect.stringContaining('unexpected query "foo"'),
  })
  await expect(refused(`${base}/r.git?ref=main&branch=main`)).rejects.toMatchObject({
    code: 'OCI_OPTION_INVALID',
    message: expect.stringContaining('ref conflicts: "main" vs "refs/heads/main"'),
  })
})
