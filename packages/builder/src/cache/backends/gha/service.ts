import { createHash } from 'node:crypto'
import type { CacheAnswer, CacheHttp } from '../http.ts'
import { createServiceV1 } from './service-v1.ts'
import { createServiceV2 } from './service-v2.ts'
import type { GhaSettings } from './settings.ts'
import type { GhaService } from './types.ts'

/** What keeps BuildKit's entries apart from those of actions/cache: it has no other meaning. */
const VERSION: string = createHash('sha256').update('|go-actionscache-1.0').digest('hex')

export function createGhaService(service: NonNullable<GhaSettings['service']>, http: CacheHttp): GhaService {
  const { url, token, version } = service
  const base = url.href.replace(/\/*$/, '')
  const ask = async (
    path: string,
    request: { readonly method: 'GET' | 'POST'; readonly json?: unknown; readonly signal: AbortSignal },
  ): Promise<CacheAnswer> => {
    const { method, json, signal } = request
    const headers: Record<string, string> = { authorization: `Bearer ${token}`, 'user-agent': 'tsbuild' }
    if (version === 1) headers['accept'] = 'application/json;api-version=6.0-preview.1'
    if (json !== undefined) headers['content-type'] = 'application/json'
    const body = json === undefined ? {} : { body: Buffer.from(JSON.stringify(json)) }
    return http.ask({ method, url: new URL(`${base}${path}`), headers: () => headers, signal, ...body })
  }
  const common = { ask, http, version: VERSION }
  return version === 2 ? createServiceV2(common) : createServiceV1({ ...common, base, token })
}
