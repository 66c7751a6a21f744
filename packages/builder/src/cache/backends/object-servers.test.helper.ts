/** Stores of objects for tests: real servers where the machine has them, and stand-ins that speak as much of the protocol. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findTool, startStandIn } from '@ts-oci/testing'
import type { CacheOption } from '../../build/public-types.ts'
import { EMPTY_HASH, encodeKey, signRequest } from './s3/signature.ts'

/** A place for caches, new and empty. */
export interface ObjectServer extends AsyncDisposable {
  /** What says to a build where it is. */
  readonly option: CacheOption
  /** Keys and what is under them. */
  objects(): Promise<ReadonlyMap<string, Buffer>>
  remove(key: string): Promise<void>
}

/** The account that every Azurite has. */
const AZURITE = {
  name: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
}

/** A bucket of moto's server of S3. */
export async function startMoto(): Promise<ObjectServer & { headers(key: string): Promise<Headers> }> {
  const port = await freePort()
  const stop = await startProgram('moto_server', ['-H', '127.0.0.1', '-p', String(port)], port)
  const place = `http://127.0.0.1:${port}`
  const ask = async (method: string, path: string): Promise<Response> => {
    const url = new URL(`${place}/travels${path}`)
    const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' }
    const request = { method, url, headers: {}, payloadHash: EMPTY_HASH, region: 'us-east-1', credentials }
    return fetch(url, { method, headers: signRequest({ ...request, nowMs: Date.now() }) })
  }
  await ask('PUT', '')
  return {
    option: optionS3(place),
    objects: async () => {
      const text = await (await ask('GET', '?list-type=2')).text()
      const keys = [...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key!)
      const read = async (key: string): Promise<Buffer> =>
        Buffer.from(await (await ask('GET', `/${encodeKey(key)}`)).arrayBuffer())
      return new Map(await Promise.all(keys.map(async (key) => [key, await read(key)] as const)))
    },
    remove: async (key) => void (await ask('DELETE', `/${encodeKey(key)}`)),
    headers: async (key) => (await ask('HEAD', `/${encodeKey(key)}`)).headers,
    [Symbol.asyncDispose]: stop,
  }
}

function optionS3(url: string): CacheOption {
  return {
    type: 's3',
    bucket: 'travels',
    region: 'us-east-1',
    endpoint_url: url,
    use_path_style: 'true',
    access_key_id: 'id',
    secret_access_key: 'secret',
  }
}

/** The blobs of an Azurite. What is in it is asked of it as of Azure, by a stand-alone request. */
export async function startAzurite(): Promise<ObjectServer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), 'azurite-'))
  const place = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', directory]
  const stop = await startProgram(
    'azurite-blob',
    [...place, '--silent', '--disableTelemetry', '--skipApiVersionCheck'],
    port,
  )
  const account = `http://127.0.0.1:${port}/${AZURITE.name}`
  const { signBySharedKey } = await import('./azblob/shared-key.ts')
  const sign = signBySharedKey(AZURITE.name, AZURITE.key)
  const ask = async (method: string, path: string): Promise<Response> => {
    const url = new URL(`${account}/travels${path}`)
    return fetch(url, { method, headers: sign({ method, url, headers: { 'x-ms-version': '2020-10-02' } }) })
  }
  const pathOf = (key: string): string => `/${key.split('/').map(encodeURIComponent).join('/')}`
  return {
    option: {
      type: 'azblob',
      account_url: account,
      account_name: AZURITE.name,
      container: 'travels',
      secret_access_key: AZURITE.key,
    },
    objects: async () => {
      const text = await (await ask('GET', '?restype=container&comp=list')).text()
      const keys = [...text.matchAll(/<Name>([^<]+)<\/Name>/g)].map(([, key]) => key!)
      const read = async (key: string): Promise<Buffer> =>
        Buffer.from(await (await ask('GET', pathOf(key))).arrayBuffer())
      return new Map(await Promise.all(keys.map(async (key) => [key, await read(key)] as const)))
    },
    remove: async (key) => void (await ask('DELETE', pathOf(key))),
    [Symbol.asyncDispose]: async () => {
      await stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** As much of S3 as a cache asks, in memory; signatures are compared with what the same request is signed as. */
export async function startS3StandIn(): Promise<ObjectServer> {
  const objects = new Map<string, Buffer>()
  const parts = new Map<string, Map<number, Buffer>>()
  const server = await startStandIn(async (request, response) => {
    const body = await bodyOf(request)
    const url = new URL(request.url!, `http://${request.headers.host}`)
    const key = decodeURIComponent(url.pathname.replace(/^\/travels\//, ''))
    const say = (status: number, text = '', headers: Record<string, string> = {}): void =>
      void response.writeHead(status, headers).end(request.method === 'HEAD' ? '' : text)
    if (!isSigned(request, url)) return say(403, '<Error><Code>SignatureDoesNotMatch</Code></Error>')
    const uploadId = url.searchParams.get('uploadId')
    if (request.method === 'POST' && uploadId === null) {
      parts.set(key, new Map())
      return say(200, '<X><UploadId>one</UploadId></X>')
    }
    if (request.method === 'POST') {
      const all = [...parts.get(key)!].toSorted(([a], [b]) => a - b)
      objects.set(key, Buffer.concat(all.map(([, bytes]) => bytes)))
      return say(200, '<X/>')
    }
    if (request.method === 'DELETE') return say(parts.delete(key) ? 204 : 404)
    if (request.method === 'PUT' && uploadId !== null) {
      parts.get(key)!.set(Number(url.searchParams.get('partNumber')), body)
      return say(200, '', { etag: '"e"' })
    }
    if (request.method === 'PUT') {
      if (request.headers['x-amz-copy-source'] === undefined) objects.set(key, body)
      return say(200)
    }
    const found = objects.get(key)
    if (found === undefined) return say(404, '<Error><Code>NoSuchKey</Code></Error>')
    const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? -1)
    const part = found.subarray(Math.max(first, 0))
    const headers = { 'content-length': part.length, 'last-modified': new Date().toUTCString() }
    response.writeHead(first < 0 ? 200 : 206, headers).end(request.method === 'HEAD' ? '' : part)
  })
  return {
    option: optionS3(`http://${server.host}`),
    objects: async () => objects,
    remove: async (key) => void objects.delete(key),
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

function isSigned({ headers, method }: IncomingMessage, url: URL): boolean {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? []
  const own = names.filter((name) => !['host', 'x-amz-date', 'x-amz-content-sha256'].includes(name))
  const time = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  const wanted = signRequest({
    method: method!,
    url,
    headers: Object.fromEntries(own.map((name) => [name, String(headers[name])])),
    payloadHash: String(headers['x-amz-content-sha256']),
    region: 'us-east-1',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    nowMs: Date.parse(time),
  })
  return wanted['authorization'] === headers.authorization
}

/** As much of Azure's blobs as a cache asks, in memory, behind a shared access signature. */
export async function startAzureStandIn(): Promise<ObjectServer> {
  const objects = new Map<string, Buffer>()
  const blocks = new Map<string, Buffer>()
  let hasContainer = false
  const server = await startStandIn(async (request, response) => {
    const body = await bodyOf(request)
    const url = new URL(request.url!, `http://${request.headers.host}`)
    const key = decodeURIComponent(url.pathname.replace(/^\/travels\/?/, ''))
    const say = (status: number, code = ''): void =>
      void response.writeHead(status, code === '' ? {} : { 'x-ms-error-code': code }).end()
    if (url.searchParams.get('sig') !== 'secret=') return say(403, 'AuthenticationFailed')
    if (url.searchParams.get('restype') === 'container' && request.method === 'PUT') {
      hasContainer = true
      return say(201)
    }
    if (!hasContainer) return say(404, 'ContainerNotFound')
    if (url.searchParams.get('restype') === 'container') return say(200)
    const comp = url.searchParams.get('comp')
    if (comp === 'block') blocks.set(`${key} ${url.searchParams.get('blockid')}`, body)
    else if (comp === 'blocklist') {
      const ids = [...body.toString('utf8').matchAll(/<Latest>([^<]+)<\/Latest>/g)].map(([, id]) => id!)
      objects.set(key, Buffer.concat(ids.map((id) => blocks.get(`${key} ${id}`)!)))
    } else if (request.method === 'PUT') objects.set(key, body)
    if (request.method === 'PUT') return say(201)
    const found = objects.get(key)
    if (found === undefined) return say(404, 'BlobNotFound')
    response.writeHead(200, { 'content-length': found.length }).end(request.method === 'HEAD' ? '' : found)
  })
  return {
    option: {
      type: 'azblob',
      account_url: `http://${server.host}/?sv=2020-10-02&sig=secret%3D`,
      account_name: 'me',
      container: 'travels',
    },
    objects: async () => objects,
    remove: async (key) => void objects.delete(key),
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startProgram(name: string, args: readonly string[], port: number): Promise<() => Promise<void>> {
  // A group of its own: what npm and pyenv start by a script has a child.
  const child = spawn(findTool(name)!, args, { stdio: 'ignore', detached: true })
  const ended = once(child, 'exit')
  for (let tries = 0; ; tries++) {
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      break
    if (tries > 300 || child.exitCode !== null) throw new Error(`${name} does not answer`)
    await sleep(100)
  }
  return async () => {
    process.kill(-child.pid!, 'SIGKILL')
    await ended
  }
}
