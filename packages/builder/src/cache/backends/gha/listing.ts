import type { CacheHttp } from '../http.ts'
import { jsonOf } from './answers.ts'
import type { GhaSettings } from './settings.ts'

const PER_PAGE = 100
const MAX_PAGES = 200

/** The keys that begin with `prefix` in any of the scopes, from GitHub's REST API. @throws OCI_CACHE_FAILED */
export async function listKeys(
  { url, token }: NonNullable<GhaSettings['listing']>,
  http: CacheHttp,
  prefix: string,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  const headers = {
    accept: 'application/vnd.github+json',
    authorization: `Bearer ${token}`,
    'user-agent': 'tsbuild',
    'x-github-api-version': '2022-11-28',
  }
  for (const scope of scopes)
    for (let page = 1; page <= MAX_PAGES; page++) {
      const query = new URLSearchParams({ per_page: String(PER_PAGE), page: String(page), key: prefix, ref: scope })
      const request = {
        method: 'GET',
        url: new URL(`${url.href}?${query.toString()}`),
        headers: () => headers,
        signal,
      } as const
      const { total_count: total, actions_caches: caches } = jsonOf(await http.ask(request), 'to list entries')
      for (const one of Array.isArray(caches) ? (caches as { readonly key?: unknown }[]) : [])
        if (typeof one.key === 'string') found.add(one.key)
      if (!(Number(total) > page * PER_PAGE)) break
    }
  return found
}
