import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { startStandIn, type StandIn } from '@ts-oci/testing'

/**
 * A stand-in for the cache service of GitHub, written from what actions/toolkit and go-actions-cache send and read: both
 * protocols, the blobs behind the newer one, and the list of GitHub's REST API.
 */
export interface GhaServer extends StandIn {
  readonly url: string
  /** Finished ones, the oldest first. */
  readonly entries: StoredEntry[]
  /** Keys that were reserved and not finished. */
  readonly reserved: Set<string>
  /** Answers instead of the service, when it returns true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean
}

export interface StoredEntry {
  readonly key: string
  readonly version: string
  readonly scope: string
  readonly bytes: Buffer
}

interface Upload {
  readonly key: string
  readonly version: string
  readonly scope: string
  blocks: Map<string, Buffer>
  bytes: Buffer | undefined
}

interface TwirpCall {
  readonly key: string
  readonly version: string
  readonly restore_keys?: readonly string[]
  readonly size_bytes?: number
}

interface Scope {
  readonly Scope: string
  readonly Permission: number
}

/** A job's token, unsigned: 1 may read, 2 may write. */
export function tokenFor(scopes: Readonly<Record<string, number>>, expiresInSec = 3600): string {
  const now = Math.floor(Date.now() / 1000)
  const ac = JSON.stringify(Object.entries(scopes).map(([Scope, Permission]) => ({ Scope, Permission })))
  const part = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString('base64url')
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ ac, exp: now + expiresInSec, nbf: now - 60 })}.`
}

export async function startGhaServer(): Promise<GhaServer> {
  const entries: StoredEntry[] = []
  const uploads = new Map<string, Upload>()
  const reserved = new Set<string>()
  const slot = (scope: string, key: string, version: string): string => `${scope}\n${key}\n${version}`

  function find(scopes: readonly Scope[], keys: readonly string[], version: string): StoredEntry | undefined {
    for (const { Scope: scope } of scopes)
      for (const key of keys) {
        const own = entries.filter((one) => one.scope === scope && one.version === version)
        const found = own.find((one) => one.key === key) ?? own.findLast((one) => one.key.startsWith(key))
        if (found !== undefined) return found
      }
    return undefined
  }
  function reserve(scopes: readonly Scope[], key: string, version: string): string {
    const scope = scopes.find(({ Permission }) => (Permission & 2) !== 0)?.Scope
    if (scope === undefined) return 'denied'
    if (reserved.has(slot(scope, key, version))) return 'taken'
    reserved.add(slot(scope, key, version))
    const id = String(uploads.size + 1)
    uploads.set(id, { key, version, scope, blocks: new Map(), bytes: undefined })
    return id
  }
  function finish(upload: Upload | undefined, size: number): boolean {
    if (upload?.bytes?.length !== size) return false
    entries.push({ key: upload.key, version: upload.version, scope: upload.scope, bytes: upload.bytes })
    return true
  }
  const places = new Map<string, StoredEntry>()
  const addressOf = (entry: StoredEntry, host: string): string => {
    const id = randomUUID()
    places.set(id, entry)
    return `http://${host}/blob/${id}?sig=secret`
  }

  const server: GhaServer = Object.assign(
    await startStandIn(async (request, response) => {
      if (server.intercept(request, response)) return
      const body = await bodyOf(request)
      const url = new URL(request.url ?? '', server.url)
      const say = (status: number, json?: unknown): void => {
        // Azure names each request; BuildKit's client ends its daemon where it does not.
        response.writeHead(status, { 'content-type': 'application/json', 'x-ms-request-id': randomUUID() })
        response.end(json === undefined ? '' : JSON.stringify(json))
      }
      const json = (): Record<string, unknown> => JSON.parse(body.toString('utf8')) as Record<string, unknown>

      // The blobs: their address is the only proof.
      const [, kind, id = ''] = /^\/(blob|upload)\/([^/]+)$/.exec(url.pathname) ?? []
      if (kind !== undefined && url.searchParams.get('sig') !== 'secret') return say(403)
      if (kind === 'blob') {
        const entry = places.get(id)
        if (entry === undefined || !entries.includes(entry)) return say(404)
        const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? -1)
        response.writeHead(first < 0 ? 200 : 206, { 'x-ms-request-id': randomUUID() })
        return void response.end(entry.bytes.subarray(Math.max(first, 0)))
      }
      if (kind === 'upload') {
        const upload = uploads.get(id)!
        const comp = url.searchParams.get('comp')
        if (comp === 'block') upload.blocks.set(url.searchParams.get('blockid')!, body)
        else if (comp === 'blocklist') {
          const ids = [...body.toString('utf8').matchAll(/<Latest>([^<]+)<\/Latest>/g)].map(([, one]) => one!)
          if (!ids.every((one) => upload.blocks.has(one))) return say(400)
          upload.bytes = Buffer.concat(ids.map((one) => upload.blocks.get(one)!))
        } else if (request.headers['x-ms-blob-type'] === 'BlockBlob') upload.bytes = body
        else return say(400)
        return say(201)
      }

      if (url.pathname.startsWith('/repos/')) {
        const { per_page: count = '30', page = '1', key = '', ref = '' } = Object.fromEntries(url.searchParams)
        if (request.headers.authorization !== 'Bearer ghtoken') return say(401, { message: 'Bad credentials' })
        const all = entries.filter((one) => one.key.startsWith(key) && one.scope === ref)
        const from = (Number(page) - 1) * Number(count)
        return say(200, { total_count: all.length, actions_caches: all.slice(from, from + Number(count)) })
      }

      const scopes = scopesOf(request)
      if (scopes === undefined) return say(401, { code: 'unauthenticated', msg: 'no token' })
      const call = /^\/twirp\/github\.actions\.results\.api\.v1\.CacheService\/(\w+)$/.exec(url.pathname)?.[1]
      if (call !== undefined) {
        const { key, version, restore_keys: more = [], size_bytes: size } = json() as unknown as TwirpCall
        if (call === 'GetCacheEntryDownloadURL') {
          const found = find(scopes, [key, ...more], version)
          if (found === undefined) return say(200, { ok: false, signed_download_url: '', matched_key: '' })
          return say(200, { ok: true, signed_download_url: addressOf(found, server.host), matched_key: found.key })
        }
        if (call === 'CreateCacheEntry') {
          const made = reserve(scopes, key, version)
          if (made === 'taken') return say(409, { code: 'already_exists', msg: 'cache entry already exists' })
          if (made === 'denied') return say(403, { code: 'permission_denied', msg: 'token is read only' })
          return say(200, { ok: true, signed_upload_url: `http://${server.host}/upload/${made}?sig=secret` })
        }
        const upload = [...uploads.values()].find((one) => one.key === key && one.version === version)
        return say(200, finish(upload, Number(size)) ? { ok: true, entry_id: '1' } : { ok: false, entry_id: '' })
      }

      const [, rest] = /^\/_apis\/artifactcache\/(.*)$/.exec(url.pathname) ?? []
      if (rest === 'cache') {
        const keys = (url.searchParams.get('keys') ?? '').split(',')
        const found = find(scopes, keys, url.searchParams.get('version') ?? '')
        if (found === undefined) return say(204)
        return say(200, { cacheKey: found.key, scope: found.scope, archiveLocation: addressOf(found, server.host) })
      }
      if (rest === 'caches') {
        const { key, version } = json() as Record<string, string>
        const made = reserve(scopes, key!, version!)
        if (made === 'taken')
          return say(409, { typeKey: 'ArtifactCacheItemAlreadyExistsException', message: 'Cache already exists.' })
        if (made === 'denied') return say(403, { typeKey: 'AccessDenied', message: 'Cache write denied' })
        return say(201, { cacheId: Number(made) })
      }
      const upload = uploads.get(/^caches\/(\d+)$/.exec(rest ?? '')?.[1] ?? '')
      if (upload === undefined) return say(404)
      if (request.method === 'PATCH') {
        const [, first, last] = /^bytes (\d+)-(\d+)\/\*$/.exec(request.headers['content-range'] ?? '') ?? []
        if (Number(last) - Number(first) + 1 !== body.length) return say(400)
        upload.blocks.set(first!, body)
        return say(204)
      }
      const parts = [...upload.blocks].toSorted(([a], [b]) => Number(a) - Number(b))
      upload.bytes = Buffer.concat(parts.map(([, bytes]) => bytes))
      return say(finish(upload, Number(json()['size'])) ? 204 : 400)
    }),
    {
      url: '',
      entries,
      reserved,
      intercept: () => false,
    },
  )
  return Object.assign(server, { url: `http://${server.host}` })
}

function scopesOf({ headers }: IncomingMessage): readonly Scope[] | undefined {
  const payload = /^Bearer [^.]+\.([^.]+)\./.exec(headers.authorization ?? '')?.[1]
  if (payload === undefined) return undefined
  const { ac } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { ac: string }
  return JSON.parse(ac) as Scope[]
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}
