import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { call, type CallOptions } from './check.ts'
import { toLlb } from './llb.ts'

const TEXT = '# greets\nARG WHO=you\nFROM scratch as greeting\nARG WHO\nCOPY file /$WHO\n'

let directory: TemporaryDirectory
let server: Server
let address: string

beforeEach(async () => {
  directory = await temporaryDirectory()
  mkdirSync(directory.join('source'))
  writeFileSync(directory.join('source/Dockerfile'), TEXT)
  writeFileSync(directory.join('source/other.Dockerfile'), 'FROM scratch AS other\nCOPY file /\n')
  writeFileSync(directory.join('source/file'), 'content')
  server = createServer((request, response) => {
    const isKnown = request.url === '/context.tar'
    response.writeHead(isKnown ? 200 : 404).end(isKnown ? archive() : '')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  await directory[Symbol.asyncDispose]()
})

const archive = (): Buffer => execFileSync('tar', ['-C', directory.join('source'), '-c', '.'])

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** The same question about a directory, an archive behind a URL, and one on standard input. */
async function askEverywhere(question: Pick<CallOptions, 'method' | 'target' | 'file'>): Promise<readonly string[]> {
  const store = directory.join('store')
  const { file } = question
  const answers = [
    await call({
      store,
      ...question,
      context: directory.join('source'),
      ...(file && { file: directory.join('source', file) }),
    }),
    await call({ store, ...question, context: `${address}/context.tar` }),
    await call({ store, ...question, context: '-', stdin: streamOf(archive()) }),
  ]
  return answers.map(({ stdout }) => stdout.replaceAll(`${directory.join('source')}/`, ''))
}

testWith(['tar'], 'a check of a context that lies elsewhere finds what it finds in a directory', async () => {
  const [here, behindUrl, onStdin] = await askEverywhere({ method: 'check' })
  expect(here).toContain('WARNING: FromAsCasing')
  expect(behindUrl).toBe(here)
  expect(onStdin).toBe(here)
})

testWith(
  ['tar'],
  'outline and targets are told of a context that lies elsewhere, and of the file that is named in it',
  async () => {
    const [here, ...elsewhere] = await askEverywhere({ method: 'outline' })
    expect(here).toContain('WHO')
    expect(elsewhere).toEqual([here, here])
    const targets = await askEverywhere({ method: 'targets', file: 'other.Dockerfile' })
    expect(targets[0]).toContain('other')
    expect(targets).toEqual([targets[0], targets[0], targets[0]])
  },
)

testWith(['tar'], 'the graph of a context that lies elsewhere begins with where it comes from', async () => {
  const store = directory.join('store')
  const { json } = await toLlb({ store, context: `${address}/context.tar` })
  expect(JSON.stringify(json)).toContain(`${address}/context.tar`)
})

test('which targets a directory has is told without a store', async () => {
  const store = directory.join('none')
  await call({ store, method: 'targets', context: directory.join('source') })
  expect(existsSync(store)).toBe(false)
})
