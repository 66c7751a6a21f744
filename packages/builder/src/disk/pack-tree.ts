import { createHash } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { closeFd, getXattrs, openRoot, statAt } from '@ts-oci/runtime'
import { toByteString, type ByteString } from '../base/byte-string.ts'
import { makeEntry } from '../view/entry.ts'
import type { LayerEntry } from '../view/types.ts'
import { recordTree } from './compare-tree.ts'
import type { PackTreeInput, PackTreeOutput } from './job-types.ts'
import { readOwnerRecord } from './owner-record.ts'
import { packInPieces } from './pack.ts'
import type { Pieces } from './pauses.ts'
import { recordedFacts, walkUpper, type UpperEntry } from './upper.ts'

/** How tars mark deleted names: a file of such a name would delete another one when it is unpacked. */
const MARKER = /(^|\/)\.wh\./

/**
 * A directory that stands by itself (a cache mount) as a tar: owners, modes, times to the nanosecond and hard links. Sockets,
 * devices and names that a tar takes for whiteouts are left out. Answers without a tar where the tree is known already, or too large.
 */
export function* packTreeInPieces(input: PackTreeInput): Pieces<PackTreeOutput> {
  const root = rootOf(input)
  const fingerprint = fingerprintOf(input.root, root)
  if (fingerprint === input.known) return { fingerprint, root, contentBytes: 0 }
  // What `trusted` marks is no overlay's here: nothing below a cache mount is opaque.
  const { entries } = walkUpper({ upper: input.root, xattrs: 'trusted', records: input.records })
  const packed = withLinks(entries.filter(isPacked))
  const contentBytes = packed.reduce((sum, { size }) => sum + size, 0)
  if (contentBytes > input.maxBytes) return { fingerprint, root, contentBytes }
  const { diffId, sizeBytes } = yield* packInPieces(packed, input.destination, { keepsNanoseconds: true })
  return { fingerprint, root, contentBytes, packed: { diffId, sizeBytes } }
}

function isPacked({ type, path }: UpperEntry): boolean {
  return type !== 'whiteout' && type !== 'character' && type !== 'block' && !MARKER.test(path)
}

function rootOf({ root, records }: PackTreeInput): PackTreeOutput['root'] {
  const parent = openRoot(dirname(root))
  try {
    const name = toByteString(basename(root))
    const { mode, uid, gid } = statAt(parent, name)
    const { owner } = recordedFacts(records, readOwnerRecord(getXattrs(parent, name)))
    return { mode: mode & 0o7777, uid: owner?.uid ?? uid, gid: owner?.gid ?? gid }
  } finally {
    closeFd(parent)
  }
}

/** Of names, sizes, times and inodes: equal as long as nothing was touched. */
function fingerprintOf(path: string, root: PackTreeOutput['root']): string {
  const { paths, fingerprints } = recordTree({ root: path })
  const hash = createHash('sha256').update(JSON.stringify(root)).update(paths, 'latin1')
  return hash
    .update(new Uint8Array(fingerprints.buffer, fingerprints.byteOffset, fingerprints.byteLength))
    .digest('hex')
}

/** Sorted as tars are; of several names of one file the first has its bytes. */
function withLinks(entries: readonly UpperEntry[]): LayerEntry[] {
  const first = new Map<string, ByteString>()
  return entries.map(({ linkKey, isOpaque: _marked, ...entry }) => {
    const target = linkKey === undefined ? undefined : first.get(linkKey)
    if (linkKey !== undefined && target === undefined) first.set(linkKey, entry.path)
    if (target === undefined) return entry
    const { content: _content, ...rest } = entry
    return makeEntry({ ...rest, type: 'hardlink', size: 0, link: target })
  })
}
