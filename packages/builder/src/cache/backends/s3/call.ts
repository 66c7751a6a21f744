import { cacheFailed } from '../failed.ts'
import type { CacheAnswer, CacheHttp } from '../http.ts'
import type { S3Settings } from './settings.ts'
import { EMPTY_HASH, encodeKey, encodeText, sha256, signRequest } from './signature.ts'

/** One request of the S3 API, signed. */
export interface S3Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
  readonly maxBytes?: number
}

/** Sends a request; of an answer that is none of `statuses` a clear error is made. */
export type CallS3 = (call: S3Call, ...statuses: number[]) => Promise<CacheAnswer>

/** S3 may say 200 and find that it failed while it wrote the answer. */
export function failOnError({ bytes }: CacheAnswer, method: string): string {
  const text = Buffer.from(bytes).toString('utf8')
  if (text.includes('<Error>')) throw cacheFailed(`S3 answered to ${method}: ${explain(text) ?? 'an error'}`)
  return text
}

/** Requests of one bucket. */
export function createCaller(settings: S3Settings, http: CacheHttp): CallS3 {
  return async (request, ...statuses) => {
    const { method, body, signal, maxBytes } = request
    const url = urlOf(settings, request)
    const hash = body === undefined ? EMPTY_HASH : sha256(body)
    const answer = await http.ask({
      method,
      url,
      headers: () => signed(settings, method, url, request.headers ?? {}, hash),
      ...(body === undefined ? {} : { body }),
      signal,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    })
    if (statuses.includes(answer.status) && !isNoBucket(answer)) return answer
    throw failure(settings, request, answer)
  }
}

/** What is not there is no cache; a bucket that is not there is a mistake. */
function isNoBucket({ status, bytes }: CacheAnswer): boolean {
  return status === 404 && Buffer.from(bytes).includes('NoSuchBucket')
}

function failure(settings: S3Settings, { method, key }: S3Call, { status, bytes, header }: CacheAnswer): Error {
  const said = explain(Buffer.from(bytes).toString('utf8')) ?? `status ${status}`
  const region = header('x-amz-bucket-region')
  const hint =
    region !== undefined && region !== settings.region
      ? `the bucket is in the region ${region}: region=${region}`
      : settings.credentials === undefined
        ? 'no credentials were found: access_key_id and secret_access_key, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials'
        : undefined
  return cacheFailed(`${method} s3://${settings.bucket}/${key}: ${said}`, { hint, details: { status } })
}

function explain(xml: string): string | undefined {
  const code = /<Code>([^<]{1,200})<\/Code>/.exec(xml)?.[1]
  const message = /<Message>([^<]{1,500})<\/Message>/.exec(xml)?.[1]
  return code === undefined ? undefined : `${code}${message === undefined ? '' : ` (${message})`}`
}

export function urlOf({ base }: S3Settings, { key, query = {} }: Pick<S3Call, 'key' | 'query'>): URL {
  const pairs = Object.entries(query).map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`)
  return new URL(`${base.href}${encodeKey(key)}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`)
}

export function signed(
  { region, credentials }: S3Settings,
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  payloadHash: string,
): Readonly<Record<string, string>> {
  // A bucket that everybody may read is asked without a name.
  if (credentials === undefined) return headers
  return signRequest({ method, url, headers, payloadHash, region, credentials, nowMs: Date.now() })
}
