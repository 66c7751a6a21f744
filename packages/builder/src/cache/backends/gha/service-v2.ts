/** The newer service: twirp calls with JSON; the bytes go to Azure, with addresses that are signed. */
import { cacheFailed } from '../failed.ts'
import { uploadBlob } from '../azure-blocks.ts'
import { isTaken, jsonOf, urlOf } from './answers.ts'
import type { GhaService, ServiceParts } from './types.ts'

export function createServiceV2({ ask, http, version }: ServiceParts): GhaService {
  const call = (name: string, json: unknown, signal: AbortSignal): ReturnType<typeof ask> =>
    ask(`/twirp/github.actions.results.api.v1.CacheService/${name}`, { method: 'POST', json, signal })
  return {
    async find(prefix, signal) {
      const json = { key: prefix, restore_keys: [prefix], version }
      const answer = await call('GetCacheEntryDownloadURL', json, signal)
      if (answer.status === 404) return undefined
      const { ok, signed_download_url: url, matched_key: key } = jsonOf(answer, 'to look for an entry')
      return ok === true && typeof key === 'string' ? { key, url: urlOf(url), scope: undefined } : undefined
    },
    async save(key, { size, open }, signal) {
      const created = await call('CreateCacheEntry', { key, version }, signal)
      if (isTaken(created)) return false
      const { ok, signed_upload_url: url, message } = jsonOf(created, `to write ${key}`)
      if (ok !== true)
        throw cacheFailed(
          `the GitHub Actions cache refused to write ${key}: ${typeof message === 'string' ? message : 'no reason'}`,
        )
      await uploadBlob({ http, url: urlOf(url), sign: ({ headers }) => headers, size, open, signal })
      const done = await call('FinalizeCacheEntryUpload', { key, size_bytes: size, version }, signal)
      // Who was cut off after the first try has done it.
      if (isTaken(done)) return true
      if (jsonOf(done, `to finish ${key}`)['ok'] !== true)
        throw cacheFailed(`the GitHub Actions cache did not finish ${key}`)
      return true
    },
  }
}
