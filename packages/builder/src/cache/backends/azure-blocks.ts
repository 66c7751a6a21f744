/** Block blobs of Azure ("Put Blob", "Put Block", "Put Block List" of its REST API): the container of `azblob`, and what GitHub keeps. */
import { cacheFailed } from './failed.ts'
import type { CacheAnswer, CacheHttp } from './http.ts'
import { forEachPiece, inPieces } from './pieces.ts'

/** The oldest version that has all that is asked for here; Azurite and what stands in for GitHub know it. */
export const AZURE_VERSION = '2020-10-02'

/** What goes in one request. */
const BLOCK_BYTES = 8 << 20
/** Azure takes no more blocks of one blob. */
const MAX_BLOCKS = 50_000
const BLOCKS_IN_FLIGHT = 2

type Headers = Readonly<Record<string, string>>

/** How requests are proven: by the URL itself, or by headers. */
export type SignAzure = (request: { readonly method: string; readonly url: URL; readonly headers: Headers }) => Headers

export interface AzureUpload {
  readonly http: CacheHttp
  /** With its own query, if that is what proves who asks. */
  readonly url: URL
  readonly sign: SignAzure
  readonly size: number
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
  readonly signal: AbortSignal
}

/**
 * Nothing is seen of the blob before all of it is there. Who writes the same at the same time has blocks of the same names:
 * whichever list comes last finds them all. @throws OCI_CACHE_FAILED
 */
export async function uploadBlob(upload: AzureUpload): Promise<void> {
  const { size, open, signal } = upload
  const pieces = inPieces(open(signal), Math.max(BLOCK_BYTES, Math.ceil(size / MAX_BLOCKS)))
  if (size <= BLOCK_BYTES) {
    for await (const body of pieces) await put(upload, '', { 'x-ms-blob-type': 'BlockBlob' }, body)
    return
  }
  const count = await forEachPiece(pieces, BLOCKS_IN_FLIGHT, async (body, index) => {
    await put(upload, `comp=block&blockid=${encodeURIComponent(blockId(index))}`, {}, body)
  })
  const list = Array.from({ length: count }, (_, index) => `<Latest>${blockId(index)}</Latest>`).join('')
  const xml = `<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`
  await put(upload, 'comp=blocklist', {}, Buffer.from(xml))
}

/** Of one length, as Azure wants it. */
function blockId(index: number): string {
  return Buffer.from(`block-${String(index).padStart(6, '0')}`).toString('base64')
}

async function put(
  { http, url: blob, sign, signal }: AzureUpload,
  query: string,
  own: Headers,
  body: Uint8Array,
): Promise<void> {
  const url = new URL(blob)
  if (query !== '') url.search = `${blob.search === '' ? '?' : `${blob.search}&`}${query}`
  const headers = { 'x-ms-version': AZURE_VERSION, 'content-length': String(body.length), ...own }
  const request = { method: 'PUT', url, headers } as const
  const answer = await http.ask({ ...request, headers: () => sign(request), body, signal })
  if (answer.status === 201) return
  throw azureFailure('PUT', blob, answer)
}

/** `ContainerNotFound` and the like. */
export function azureCode({ header, bytes }: CacheAnswer): string | undefined {
  return header('x-ms-error-code') ?? /<Code>([^<]{1,200})<\/Code>/.exec(Buffer.from(bytes).toString('utf8'))?.[1]
}

/** The query is not told: it may be what proves who asks. */
export function azureFailure(method: string, url: URL, answer: CacheAnswer): Error {
  const { status } = answer
  const place = `${url.origin}${decodeURIComponent(url.pathname)}`
  return cacheFailed(`${method} ${place}: ${azureCode(answer) ?? `status ${status}`}`, { details: { status } })
}
