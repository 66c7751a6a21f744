import type { ByteString } from '../base/byte-string.ts'
import type { Digest } from '../oci/digest.ts'
import type { ContentSource, LayerEntry } from './types.ts'

/** The only extended attribute that reaches a layer of ours: file capabilities (as BuildKit writes layers). */
export const CAPABILITY = 'security.capability'

/** Labels of security modules and the kernel's own attributes are of the machine, not of the file (features 5, rule 5). */
export function isOfFile(xattr: string): boolean {
  return xattr === CAPABILITY || !/^(?:security|system)\./.test(xattr)
}

export interface EntryFields {
  readonly path: ByteString
  readonly type: LayerEntry['type']
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: number
  readonly mtimeSec?: number
  readonly mtimeNsec?: number
  readonly link?: ByteString | undefined
  readonly devMajor?: number | undefined
  readonly devMinor?: number | undefined
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined
  readonly content?: ContentSource | undefined
  readonly contentDigest?: Digest | undefined
  readonly sameFileAs?: ByteString | undefined
  readonly isTimeOnly?: boolean | undefined
}

/** A layer entry with every member in one order, so that the engine keeps one shape for all of them. */
export function makeEntry(fields: EntryFields): LayerEntry {
  return {
    path: fields.path,
    type: fields.type,
    mode: fields.mode ?? 0,
    uid: fields.uid ?? 0,
    gid: fields.gid ?? 0,
    size: fields.size ?? 0,
    mtimeSec: fields.mtimeSec ?? 0,
    mtimeNsec: fields.mtimeNsec ?? 0,
    link: fields.link,
    devMajor: fields.devMajor,
    devMinor: fields.devMinor,
    xattrs: fields.xattrs,
    content: fields.content,
    contentDigest: fields.contentDigest,
    sameFileAs: fields.sameFileAs,
    isTimeOnly: fields.isTimeOnly,
  }
}

/** The time of a file of a build context as its content source has it. */
export function toNanoseconds(sec: number, nsec: number): string {
  if (sec > 0) return `${sec}${String(nsec).padStart(9, '0')}`
  return String(BigInt(sec) * 1_000_000_000n + BigInt(nsec))
}
