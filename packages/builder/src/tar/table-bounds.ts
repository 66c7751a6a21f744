import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import type { TarEntry } from './tar-reader.ts'

/** PATH_MAX: no tool can name a longer one at once. */
const MAX_PATH_BYTES = 4096
/** The table of a layer is in memory, with about 500 bytes an entry; large images have some 300,000. */
const MAX_ENTRIES = 2_000_000
/** Names, link targets and extended attributes of all entries together. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024

/** Their holes cost a tar nothing, and who hashes or copies them all the same: a kilobyte may not keep it busy for ever. */
const MAX_SPARSE_BYTES = 2 ** 40
/** Of a sparse file's map, in memory. */
const BYTES_A_RANGE = 64

/** Counts what a layer's headers cost in memory: a few MB of gzip can hold millions of them, or gigabytes of attributes. */
export interface TableBounds {
  /** @throws OCI_LAYER_INVALID */
  take(entry: TarEntry): void
}

export function createTableBounds(
  maxEntries: number = MAX_ENTRIES,
  maxTextBytes: number = MAX_TEXT_BYTES,
): TableBounds {
  let entries = 0
  let textBytes = 0
  let sparseBytes = 0
  return {
    take(entry) {
      checkName(entry.name, entry.name)
      checkName(entry.link, entry.name)
      entries++
      textBytes += entry.name.length + entry.link.length
      if (entry.map !== undefined) {
        textBytes += entry.map.length * BYTES_A_RANGE
        sparseBytes += entry.size
        if (sparseBytes > MAX_SPARSE_BYTES) throw tooLarge(`more than ${MAX_SPARSE_BYTES} bytes in sparse files`)
      }
      for (const [name, value] of entry.xattrs ?? []) textBytes += name.length + value.length
      if (entries > maxEntries) throw tooLarge(`more than ${maxEntries} entries`)
      if (textBytes > maxTextBytes) throw tooLarge(`more than ${maxTextBytes} bytes of names and attributes`)
    },
  }
}

function checkName(name: ByteString, of: ByteString): void {
  if (name.length > MAX_PATH_BYTES)
    throw new BuilderError(
      'OCI_LAYER_INVALID',
      `the layer's entry "${fromByteString(of.slice(0, 100))}" has a name or target of ${name.length} bytes`,
      { hint: `Linux knows names of up to ${MAX_PATH_BYTES} bytes` },
    )
  // A PAX record can hold what no header can.
  if (name.includes('\0'))
    throw new BuilderError(
      'OCI_LAYER_INVALID',
      `the layer's entry ${JSON.stringify(fromByteString(of))} has a NUL in it`,
    )
}

function tooLarge(what: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `a layer has ${what}`, {
    hint: 'it is damaged, or an attack on memory',
  })
}
