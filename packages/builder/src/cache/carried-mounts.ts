/**
 * Cache mounts in a cache that travels: records of our own among BuildKit's, of keys that no vertex has, so that its readers pass
 * them by. One leads to a document that names the mounts, one for each mount to its tar: whatever keeps a cache keeps them too.
 */
import { BuilderError } from '../base/errors.ts'
import { digestOf, isDigest, type Digest, type DiffID } from '../oci/digest.ts'
import { goJson } from '../oci/go-json.ts'
import type { Descriptor } from '../oci/types.ts'
import { outputKey } from './buildkit/op-key.ts'

/** Media type of the document. */
export const MOUNTS_TYPE = 'application/vnd.ts-oci.cache-mounts.v1+json'
/** Key of the record that leads to it. */
export const MOUNTS_KEY: Digest = outputKey(digestOf('ts-oci.cache-mounts.v1'), 0)

/** A cache mount, packed. */
export interface CarriedMount {
  /** As every store calls it. */
  readonly id: string
  readonly blob: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>
  readonly diffId: DiffID
  /** Of the tar. */
  readonly tarBytes: number
  /** Of the directory itself, which is not in the tar. */
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number }
  /** When a step last had it. */
  readonly usedMs: number
}

/** What may travel. */
export interface MountBounds {
  /** Bytes of all tars together; the mounts that were used last come first. */
  readonly maxBytes: number
  /** Not used for longer: stays. */
  readonly maxAgeMs: number
}

/** Key of the record that leads to the tar of a mount. */
export function mountKey(id: string): Digest {
  return outputKey(digestOf(`ts-oci.cache-mount.v1:${id}`), 0)
}

export function encodeMounts(mounts: readonly CarriedMount[]): Buffer {
  const sorted = mounts.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const members = sorted.map(({ id, blob, diffId, tarBytes, root, usedMs }) => {
    const { mediaType, digest, size } = blob
    const { mode, uid, gid } = root
    return { id, mediaType, digest, size, diffId, tarBytes, mode, uid, gid, usedMs }
  })
  return Buffer.from(goJson({ version: 1, mounts: members }))
}

/** @throws OCI_CACHE_INVALID */
export function decodeMounts(bytes: Uint8Array): readonly CarriedMount[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  let mounts: unknown
  try {
    mounts = (JSON.parse(text) as { readonly mounts?: unknown } | null)?.mounts
  } catch (cause) {
    throw new BuilderError('OCI_CACHE_INVALID', 'the list of cache mounts is no JSON', { cause })
  }
  if (!Array.isArray(mounts)) throw new BuilderError('OCI_CACHE_INVALID', 'the list of cache mounts has none')
  return (mounts as unknown[]).map(readMount)
}

const NUMBERS = ['size', 'tarBytes', 'mode', 'uid', 'gid', 'usedMs'] as const
/** An id that is not set: `chown` takes it for "as it is". */
const NO_ID = 0xffffffff

function readMount(member: unknown): CarriedMount {
  const raw = (member ?? {}) as Readonly<Record<string, unknown>>
  const { id, mediaType, digest, diffId } = raw
  const isWhole =
    [id, mediaType, digest, diffId].every((text) => typeof text === 'string') &&
    [digest, diffId].every((text) => isDigest(text as string)) &&
    NUMBERS.every((name) => Number.isSafeInteger(raw[name]) && (raw[name] as number) >= 0)
  const { size, tarBytes, mode, uid, gid, usedMs } = raw as Readonly<Record<(typeof NUMBERS)[number], number>>
  if (!isWhole || mode > 0o7777 || uid >= NO_ID || gid >= NO_ID)
    throw new BuilderError('OCI_CACHE_INVALID', 'the list of cache mounts holds what is none')
  return {
    id: id as string,
    blob: { mediaType: mediaType as string, digest: digest as Digest, size },
    diffId: diffId as DiffID,
    tarBytes,
    root: { mode, uid, gid },
    usedMs,
  }
}
