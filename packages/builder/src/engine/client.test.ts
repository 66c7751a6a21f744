import { createServer, type IncomingMessage, type Server } from 'node:http'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { createHash } from 'node:crypto'
import { beginLoad, findEngine, saveFrom } from './client.ts'
import { engineEndpoints } from './endpoint.ts'

let directory: TemporaryDirectory
let servers: Server[] = []
const { signal } = new AbortController()

beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  servers = []
  await directory[Symbol.asyncDispose]()
})

interface Answers {
  readonly load?: (body: Buffer) => { readonly status: number; readonly text: string }
  /** It answers before it has read anything. */
  readonly isHasty?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** Docker's API as its documentation has it (Engine API v1.51), on a socket. */
async function startEngine(name: string, answers: Answers = {}): Promise<string> {
  const path = directory.join(name)
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x')
    void (async () => {
      if (url.pathname === '/_ping') return void response.writeHead(200, answers.headers).end('OK')
      if (url.pathname === '/images/load') {
        const body = answers.isHasty === true ? Buffer.alloc(0) : await bodyOf(request)
        const { status, text } = answers.load!(body)
        return void response.writeHead(status, { 'content-type': 'application/json' }).end(text)
      }
      const isKnown = url.searchParams.get('names') === 'app:1'
      response.writeHead(isKnown ? 200 : 404).end(isKnown ? 'a tar' : '{"message":"no such image"}')
    })()
  })
  servers.push(server)
  await new Promise<void>((done) => server.listen(path, done))
  return `unix://${path}`
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('where an engine is', () => {
  const home = (): Record<string, string> => ({ HOME: directory.path })
  const names = async (...words: Parameters<typeof engineEndpoints>): Promise<readonly string[]> =>
    (await engineEndpoints(...words)).map(({ name }) => name)

  test('is what was asked for, else $DOCKER_HOST, else what the context says', async () => {
    const id = createHash('sha256').update('remote').digest('hex')
    mkdirSync(directory.join(`.docker/contexts/meta/${id}`), { recursive: true })
    const meta = { Name: 'remote', Endpoints: { docker: { Host: 'tcp://build.example:2375' } } }
    writeFileSync(directory.join(`.docker/contexts/meta/${id}/meta.json`), JSON.stringify(meta))
    writeFileSync(directory.join('.docker/config.json'), '{"currentContext":"remote"}')
    expect(await names({}, home())).toContain('tcp://build.example:2375')
    expect(await names({ kind: 'docker' }, { ...home(), DOCKER_HOST: 'unix:///x' })).toEqual(['unix:///x'])
    expect(await names({ context: 'remote' }, { ...home(), DOCKER_HOST: 'unix:///x' })).toEqual([
      'tcp://build.example:2375',
    ])
    expect(await names({ host: 'unix:///y' }, { ...home(), DOCKER_HOST: 'unix:///x' })).toEqual(['unix:///y'])
    await expect(engineEndpoints({ context: 'none' }, home())).rejects.toMatchObject({ code: 'OCI_OPTION_INVALID' })
  })

  test("may be Podman's socket of the session", async () => {
    mkdirSync(directory.join('run/podman'), { recursive: true })
    const url = await startEngine('run/podman/podman.sock')
    expect(await names({ kind: 'podman' }, { ...home(), XDG_RUNTIME_DIR: directory.join('run') })).toContain(url)
  })

  test.each([
    ['ssh://host', 'OCI_OPTION_UNSUPPORTED'],
    ['npipe:////./pipe/x', 'OCI_OPTION_UNSUPPORTED'],
    ['tcp://', 'OCI_OPTION_INVALID'],
    ['what', 'OCI_OPTION_INVALID'],
  ])('is not %s', async (host, code) => {
    await expect(engineEndpoints({ host }, home())).rejects.toMatchObject({ code })
  })

  test('is told where none answers', async () => {
    const host = `unix://${directory.join('none.sock')}`
    await expect(findEngine({ host }, signal)).rejects.toMatchObject({
      code: 'OCI_ENGINE_UNREACHABLE',
      message: `neither Docker nor Podman answers at ${host} (ENOENT)`,
    })
  })
})

describe('an engine', () => {
  test('is known as Podman by what it says of itself', async () => {
    const podman = await startEngine('podman.sock', { headers: { 'libpod-api-version': '5.8.6' } })
    expect((await findEngine({ host: podman }, signal)).kind).toBe('podman')
    expect((await findEngine({ host: await startEngine('docker.sock') }, signal)).kind).toBe('docker')
  })

  test('gets every byte, and says what it loaded', async () => {
    let seen: Buffer = Buffer.alloc(0)
    const host = await startEngine('docker.sock', {
      load: (body) => {
        seen = body
        return { status: 200, text: '{"stream":"Loaded image: app:1\\n"}\r\n{"stream":"Loaded image: b:2\\n"}\r\n' }
      },
    })
    const load = await beginLoad(await findEngine({ host }, signal), signal)
    const chunk = Buffer.alloc(100_000, 'x')
    for (let count = 0; count < 30; count++) await load.write(chunk)
    expect(await load.commit()).toEqual(['Loaded image: app:1', 'Loaded image: b:2'])
    expect(seen.length).toBe(3_000_000)
  })

  test.each([
    [200, '{"error":"invalid tar header"}', 'invalid tar header'],
    [500, '{"message":"no space left on device"}', 'no space left on device'],
    [503, 'gateway', 'status 503'],
  ])('that answers %i %s fails in its own words', async (status, text, message) => {
    const host = await startEngine('docker.sock', { load: () => ({ status, text }) })
    const load = await beginLoad(await findEngine({ host }, signal), signal)
    await load.write(Buffer.from('x'))
    await expect(load.commit()).rejects.toMatchObject({
      code: 'OCI_ENGINE_FAILED',
      message: expect.stringContaining(message),
    })
  })

  test('that refuses before it has read all is heard', async () => {
    const answer = { status: 500, text: '{"message":"quota"}' }
    const host = await startEngine('docker.sock', { isHasty: true, load: () => answer })
    const load = await beginLoad(await findEngine({ host }, signal), signal)
    const sending = async (): Promise<void> => {
      for (let count = 0; count < 1000; count++) await load.write(Buffer.alloc(1 << 20))
      await load.commit()
    }
    await expect(sending()).rejects.toMatchObject({ code: 'OCI_ENGINE_FAILED' })
    await load.abort()
  })

  test('gives an image, or says that it has none', async () => {
    const engine = await findEngine({ host: await startEngine('docker.sock') }, signal)
    const chunks: Uint8Array[] = []
    for await (const chunk of await saveFrom(engine, 'app:1', signal)) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('a tar')
    await expect(saveFrom(engine, 'none', signal)).rejects.toMatchObject({ code: 'OCI_IMAGE_NOT_FOUND' })
  })
})
