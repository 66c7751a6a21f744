import type { SpaceBound } from './types.ts'

/** `10GB`, `512mb`, `1.5g` by powers of 1024, as Docker reads sizes of its configuration; `20%` of the disk; undefined for another text. */
export function parseSpace(text: string): SpaceBound | undefined {
  const percent = /^(\d{1,3})%$/.exec(text.trim())
  if (percent !== null) return `${Number(percent[1])}%`
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim()) ?? []
  if (digits === undefined) return undefined
  return Math.min(
    Math.floor(Number(digits) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' ')),
    Number.MAX_SAFE_INTEGER,
  )
}

/** A part of the disk in whole gigabytes, rounded up, as BuildKit has it; 2 GB of one that does not say its size. */
export function bytesOfPart(percent: number, totalBytes: number): number {
  if (percent === 0) return 0
  if (totalBytes === 0) return 2e9
  return (Math.floor(Math.floor((totalBytes * percent) / 100) / 2 ** 30) + 1) * 1e9
}

/** Bytes of a bound on a disk of this size. */
export function bytesOfBound(bound: SpaceBound, totalBytes: number): number {
  return typeof bound === 'number' ? bound : bytesOfPart(Number.parseInt(bound, 10), totalBytes)
}
