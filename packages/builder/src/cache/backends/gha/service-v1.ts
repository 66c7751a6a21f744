/** The older service: REST below `_apis/artifactcache/`. GitHub Enterprise and stand-ins for GitHub still speak it. */
import { cacheFailed } from '../failed.ts'
import { forEachPiece, inPieces } from '../pieces.ts'
import { isTaken, jsonOf, refusal, urlOf } from './answers.ts'
import type { GhaService, ServiceParts } from './types.ts'

const PIECE_BYTES = 8 << 20
const PIECES_IN_FLIGHT = 2

export function createServiceV1({
  ask,
  http,
  version,
  base,
  token,
}: ServiceParts & { readonly base: string; readonly token: string }): GhaService {
  const path = '/_apis/artifactcache'
  return {
    async find(prefix, signal) {
      const query = `keys=${encodeURIComponent(prefix)}&version=${version}`
      const answer = await ask(`${path}/cache?${query}`, { method: 'GET', signal })
      if (answer.status === 204 || answer.status === 404 || answer.bytes.length === 0) return undefined
      const { cacheKey, archiveLocation, scope } = jsonOf(answer, 'to look for an entry')
      if (typeof cacheKey !== 'string' || cacheKey === '') return undefined
      return { key: cacheKey, url: urlOf(archiveLocation), scope: typeof scope === 'string' ? scope : undefined }
    },
    async save(key, { size, open }, signal) {
      const reserved = await ask(`${path}/caches`, { method: 'POST', json: { key, version }, signal })
      if (isTaken(reserved)) return false
      const { cacheId, cacheID } = jsonOf(reserved, `to write ${key}`)
      const id = cacheId ?? cacheID
      if (typeof id !== 'number') throw cacheFailed('the GitHub Actions cache reserved an entry without a number')
      const url = new URL(`${base}${path}/caches/${id}`)
      await forEachPiece(inPieces(open(signal), PIECE_BYTES), PIECES_IN_FLIGHT, async (body, index) => {
        const first = index * PIECE_BYTES
        const headers = {
          authorization: `Bearer ${token}`,
          accept: 'application/json;api-version=6.0-preview.1',
          'content-type': 'application/octet-stream',
          'content-range': `bytes ${first}-${first + body.length - 1}/*`,
        }
        const answer = await http.ask({ method: 'PATCH', url, headers: () => headers, body, signal })
        if (answer.status < 200 || answer.status > 299) throw refusal(answer, `a part of ${key}`)
      })
      const done = await ask(`${path}/caches/${id}`, { method: 'POST', json: { size }, signal })
      if (done.status >= 300 && !isTaken(done)) throw refusal(done, `to finish ${key}`)
      return true
    },
  }
}
