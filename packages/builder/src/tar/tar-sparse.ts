import type { ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { BLOCK_BYTES } from './header.ts'
import { toSize } from './tar-header.ts'
import type { SparseMap } from '../view/types.ts'
import { parsePaxInteger, SPARSE_MAP, SPARSE_PREFIX, type PaxRecords } from './pax.ts'

/** What PAX records say about a sparse file (GNU tar manual, "Storing Sparse Files"). */
export interface SparseRecords {
  readonly name: ByteString | undefined
  /** Bytes with the holes; undefined: the header's size. */
  readonly size: number | undefined
  /** Undefined: the map stands before the data (form 1.0). */
  readonly map: SparseMap | undefined
}

/** The map of form 1.0 as it comes in, block by block. */
export interface SparseMapReader {
  /** Takes one block; answers the map once it is whole. Throws OCI_LAYER_INVALID. */
  push(block: Buffer, offset: number): SparseMap | undefined
}

/** As large as a header may be: some 100,000 ranges. */
const MAX_MAP_BYTES = 1 << 20

/** Undefined when the file is not sparse, or in a form that nobody knows. Throws OCI_LAYER_INVALID. */
export function sparseRecords(pax: PaxRecords | undefined): SparseRecords | undefined {
  const form = pax === undefined ? undefined : formOf(pax)
  if (pax === undefined || form === undefined) return undefined
  const size = value(pax, 'size') ?? value(pax, 'realsize')
  return {
    name: value(pax, 'name'),
    size: size === undefined ? undefined : toSize(parsePaxInteger(size, `${SPARSE_PREFIX}size`)),
    map: form === 'block' ? undefined : mapOfRecords(pax),
  }
}

function formOf(pax: PaxRecords): 'block' | 'records' | undefined {
  const major = value(pax, 'major')
  const minor = value(pax, 'minor')
  if (major === '0' && (minor === '0' || minor === '1')) return 'records'
  if (major === '1' && minor === '0') return 'block'
  if (major !== undefined || minor !== undefined) return undefined
  return value(pax, 'map') === undefined ? undefined : 'records'
}

function value(pax: PaxRecords, key: string): ByteString | undefined {
  const found = pax.get(SPARSE_PREFIX + key)
  return found === '' ? undefined : found
}

function mapOfRecords(pax: PaxRecords): SparseMap {
  const text = pax.get(SPARSE_MAP) ?? ''
  const numbers = text === '' ? [] : text.split(',')
  const count = parseNumber(pax.get(`${SPARSE_PREFIX}numblocks`) ?? '')
  if (count < 0 || numbers.length !== 2 * count) throw invalidMap()
  return toRanges(numbers)
}

export function createSparseMapReader(): SparseMapReader {
  const numbers: string[] = []
  let rest = ''
  let sizeBytes = 0
  let wanted = 1
  return {
    push(block, offset) {
      sizeBytes += BLOCK_BYTES
      if (sizeBytes > MAX_MAP_BYTES) throw invalidMap()
      const lines = (rest + block.toString('latin1', offset, offset + BLOCK_BYTES)).split('\n')
      rest = lines.pop()!
      for (const line of lines) numbers.push(line)
      if (wanted === 1 && numbers.length > 0) {
        const count = parseNumber(numbers[0]!)
        if (count < 0) throw invalidMap()
        wanted = 1 + 2 * count
      }
      return numbers.length < wanted ? undefined : toRanges(numbers.slice(1, wanted))
    },
  }
}

function toRanges(numbers: readonly string[]): SparseMap[number][] {
  const ranges: SparseMap[number][] = []
  for (let i = 0; i + 1 < numbers.length; i += 2)
    ranges.push({ offset: parseNumber(numbers[i]!), length: parseNumber(numbers[i + 1]!) })
  return ranges
}

/** Ranges are in order, apart, and end within the file; else a map is an attack. Throws OCI_LAYER_INVALID. */
export function checkSparseMap(ranges: SparseMap, sizeBytes: number): void {
  let end = 0
  for (const { offset, length } of ranges) {
    if (offset < end || length < 0 || offset + length > sizeBytes) throw invalidMap()
    end = offset + length
  }
}

function parseNumber(text: string): number {
  const number = /^[+-]?[0-9]{1,19}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw invalidMap()
  return number
}

function invalidMap(): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', 'the map of a sparse file in the tar is invalid')
}
