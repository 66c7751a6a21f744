/**
 * Gives memory of large pieces back at once. It lies outside of V8's heap, which learns of it at a collection only, and
 * then collects everything because so much lies there. For bytes that came of a stream, piece behind piece in its buffers:
 * a buffer is freed with the last piece in it, and nobody may hold an earlier one.
 */
export function freeBytes({ buffer, byteOffset, byteLength }: Buffer): void {
  // Small ones share a buffer with others.
  if (buffer.byteLength <= Buffer.poolSize || byteOffset + byteLength < buffer.byteLength) return
  ;(buffer as ArrayBuffer).transfer(0)
}
