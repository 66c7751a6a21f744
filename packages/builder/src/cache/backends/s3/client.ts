import { createCacheHttp } from '../http.ts'
import type { ObjectStore } from '../objects.ts'
import { createCaller, failOnError, signed, urlOf, type CallS3 } from './call.ts'
import { uploadParts } from './multipart.ts'
import type { S3Settings } from './settings.ts'
import { EMPTY_HASH, encodeKey } from './signature.ts'

/** What goes in one request; also the least that S3 takes as a part is smaller. */
const PART_BYTES = 8 << 20
/** S3 copies no larger object at once. */
const MAX_COPY_BYTES = 5 * 1024 ** 3

const TIMEOUT_MS = 300_000

export function createS3Store(settings: S3Settings): ObjectStore {
  const http = createCacheHttp({ place: `S3 (${settings.base.host})`, tries: settings.tries, timeoutMs: TIMEOUT_MS })
  const call = createCaller(settings, http)
  return {
    async get(key, maxBytes, signal) {
      const { status, bytes } = await call({ method: 'GET', key, signal, maxBytes }, 200, 404)
      return status === 404 ? undefined : bytes
    },
    read: (key, sizeBytes, signal) => {
      const url = urlOf(settings, { key })
      return http.read({ url, headers: (own = {}) => signed(settings, 'GET', url, own, EMPTY_HASH), signal }, sizeBytes)
    },
    async keep(key, sizeBytes, signal) {
      const answer = await call({ method: 'HEAD', key, signal }, 200, 404)
      // One that another program left half-written is written anew.
      if (answer.status === 404 || Number(answer.header('content-length')) !== sizeBytes) return false
      const modifiedMs = Date.parse(answer.header('last-modified') ?? '')
      if (!(Date.now() - modifiedMs <= settings.touchRefreshMs) && sizeBytes <= MAX_COPY_BYTES)
        await touch(call, settings.bucket, key, signal)
      return true
    },
    async put(key, bytes, signal) {
      await call({ method: 'PUT', key, body: bytes, signal }, 200)
    },
    async putLayer(key, { descriptor, open }, signal) {
      if (descriptor.size > PART_BYTES)
        return uploadParts(call, key, { size: descriptor.size, open, partBytes: PART_BYTES }, signal)
      const chunks: Uint8Array[] = []
      for await (const chunk of open(signal)) chunks.push(Uint8Array.prototype.slice.call(chunk))
      await call({ method: 'PUT', key, body: Buffer.concat(chunks), signal }, 200)
    },
  }
}

/** Copied onto itself it has a new time: a rule of the bucket that removes what is old leaves it. */
async function touch(call: CallS3, bucket: string, key: string, signal: AbortSignal): Promise<void> {
  const headers = {
    'x-amz-copy-source': `/${bucket}/${encodeKey(key)}`,
    'x-amz-metadata-directive': 'REPLACE',
    'x-amz-meta-updated-at': new Date().toISOString(),
  }
  failOnError(await call({ method: 'PUT', key, headers, signal }, 200), 'PUT')
}
