/** AWS Signature Version 4 in the headers of a request, as the S3 API reference describes it ("Authenticating Requests"). */
import { createHash, createHmac } from 'node:crypto'
import { compareBytes } from '../../../base/text.ts'

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface RequestToSign {
  readonly method: string
  /** Its path and query are encoded by {@link encodeKey} and {@link encodeText}: what is signed is what is sent. */
  readonly url: URL
  /** All of them are signed; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body, in hex. */
  readonly payloadHash: string
  readonly region: string
  readonly credentials: AwsCredentials
  readonly nowMs: number
}

/** SHA-256 of nothing. */
export const EMPTY_HASH: string = sha256('')

/** The headers of the request with those that prove who sends it. */
export function signRequest(request: RequestToSign): Readonly<Record<string, string>> {
  const { method, url, payloadHash, region, credentials, nowMs } = request
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const day = time.slice(0, 8)
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': time,
    ...(credentials.sessionToken ? { 'x-amz-security-token': credentials.sessionToken } : {}),
  }
  const signed = { ...headers, host: url.host }
  const names = Object.keys(signed).toSorted(compareBytes)
  const lines = names.map((name) => `${name}:${signed[name as keyof typeof signed].trim().replaceAll(/ +/g, ' ')}\n`)
  const canonical = [method, url.pathname, canonicalQuery(url), lines.join(''), names.join(';'), payloadHash].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  const signature = hmac(key, toSign).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope},SignedHeaders=${names.join(';')},Signature=${signature}`,
  }
}

/** A text as the signature wants it in a query: all but A–Z a–z 0–9 - . _ ~ by their bytes. */
export function encodeText(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A key as a path: its slashes stay. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeText).join('/')
}

function canonicalQuery({ search }: URL): string {
  if (search === '') return ''
  const pairs = search.slice(1).split('&')
  return pairs
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .toSorted(compareBytes)
    .join('&')
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
