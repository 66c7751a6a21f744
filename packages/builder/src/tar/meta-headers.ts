import type { ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { decodePax, type PaxRecords } from './pax.ts'
import type { EntryRecords } from './tar-entry.ts'
import type { RawHeader } from './tar-header.ts'

/** A PAX or GNU header larger than this is an attack on memory, not a name. */
const MAX_META_BYTES = 1 << 20

const META_FLAGS = new Set(['x', 'g', 'L', 'K'])

/** Whether a header is about the next one: PAX records, GNU's long names. */
export function isMetaFlag(flag: string): boolean {
  return META_FLAGS.has(flag)
}

/** The data of a header that is about the next one, as they come in. */
export interface MetaHeader {
  readonly flag: string
  readonly data: Buffer
  filled: number
}

/** Throws OCI_LAYER_INVALID for one that is too large. */
export function beginMeta({ flag, size }: RawHeader): MetaHeader {
  if (size > MAX_META_BYTES) throw new BuilderError('OCI_LAYER_INVALID', `a header of the tar is ${size} bytes long`)
  return { flag, data: Buffer.alloc(size), filled: 0 }
}

/** What the headers before an entry's own say of it. */
export interface MetaHeaders {
  /** A whole one. Throws OCI_LAYER_INVALID. */
  add(meta: MetaHeader): void
  /** What the next entry is to be read by; it is for that entry alone. */
  take(): EntryRecords
}

export function createMetaHeaders(): MetaHeaders {
  let pax: PaxRecords | undefined
  let name: ByteString | undefined
  let link: ByteString | undefined

  function take(): EntryRecords {
    const records = { pax, name, link }
    pax = name = link = undefined
    return records
  }

  return {
    add({ flag, data }) {
      if (flag === 'x') pax = decodePax(data)
      else if (flag === 'g') {
        // Global records are read and not applied, as containerd and Go's archive/tar do; they end what came before them.
        decodePax(data)
        take()
      } else if (flag === 'L') name = textOf(data)
      else link = textOf(data)
    },
    take,
  }
}

function textOf(data: Buffer): ByteString | undefined {
  const nul = data.indexOf(0)
  const text = data.toString('latin1', 0, nul < 0 ? data.length : nul)
  return text === '' ? undefined : text
}
