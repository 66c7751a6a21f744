/** Large objects, in parts (S3 API reference, "Multipart upload"). */
import { cacheFailed } from '../failed.ts'
import { forEachPiece, inPieces } from '../pieces.ts'
import { failOnError, type CallS3 } from './call.ts'

/** S3 takes no more parts of one object. */
const MAX_PARTS = 10_000
const PARTS_IN_FLIGHT = 2

interface Upload {
  readonly size: number
  readonly partBytes: number
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** Nothing is seen of the object before the last part is there; what fails is given up, so that nobody pays for it. */
export async function uploadParts(
  call: CallS3,
  key: string,
  { size, partBytes, open }: Upload,
  signal: AbortSignal,
): Promise<void> {
  const begun = await call({ method: 'POST', key, query: { uploads: '' }, signal }, 200)
  const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(failOnError(begun, 'POST'))?.[1]
  if (uploadId === undefined) throw cacheFailed('S3 began an upload without an UploadId')
  const tags: string[] = []
  const pieces = inPieces(open(signal), Math.max(partBytes, Math.ceil(size / MAX_PARTS)))
  try {
    await forEachPiece(pieces, PARTS_IN_FLIGHT, async (body, index) => {
      const query = { partNumber: String(index + 1), uploadId }
      const tag = (await call({ method: 'PUT', key, query, body, signal }, 200)).header('etag')
      if (tag === undefined) throw cacheFailed('S3 took a part without an ETag')
      tags[index] = tag
    })
    const parts = tags.map(
      (tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escape(tag)}</ETag></Part>`,
    )
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
    failOnError(await call({ method: 'POST', key, query: { uploadId }, body, signal }, 200), 'POST')
  } catch (error) {
    // Also when the build was ended: with a time of its own.
    const giveUp = AbortSignal.timeout(5000)
    await call({ method: 'DELETE', key, query: { uploadId }, signal: giveUp }, 204, 404).catch(() => undefined)
    throw error
  }
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
