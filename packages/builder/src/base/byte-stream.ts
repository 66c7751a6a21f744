import type { Readable } from 'node:stream'

/**
 * A stream of Node of what an iteration brings. node:stream is loaded at its first use: it takes 4 ms, and most commands of
 * the bundle neither send nor inflate.
 */
export function byteStream(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { readonly highWaterMark?: number } = {},
): Readable {
  return process.getBuiltinModule('node:stream').Readable.from(source, { objectMode: false, ...options })
}
