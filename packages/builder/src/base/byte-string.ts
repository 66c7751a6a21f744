/**
 * File names are bytes. A *byte string* holds one byte in each char (0–255), so that `<` sorts as the kernel's and
 * tar's bytes do and nothing that is not UTF-8 is lost. Text of users (Dockerfile, flags) is converted at the edge.
 */
export type ByteString = string

/** UTF-8 text to a byte string. */
export function toByteString(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** A byte string to text for people; bytes that are not UTF-8 become U+FFFD. */
export function fromByteString(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}
