/**
 * 64 bits of a byte string, in hexadecimal: tells a document from one that somebody has changed, and withstands nobody who
 * wants two of one fingerprint. To load node:crypto for a digest takes longer than all else that `tsbuild tag` does.
 *
 * Two hashes of 32 bits side by side, multiplied as in MurmurHash3, each mixed into the other at the end.
 */
export function fingerprint(bytes: string): string {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes.charCodeAt(index)
    a = Math.imul(a ^ byte, 0x9e3779b1)
    b = Math.imul(b ^ byte, 0x5f356495)
  }
  const left = mix(a) ^ mix(b ^ (b >>> 13))
  const right = mix(b) ^ mix(a ^ (a >>> 13))
  return hex(left) + hex(right)
}

/** The last step of MurmurHash3: each bit of the input may change each of the output. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
