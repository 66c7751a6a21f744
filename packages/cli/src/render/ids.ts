/** The first twelve digits of a digest, as in Docker's tables; what is no digest stays as it is. */
export function shortId(digest: string): string {
  return digest.startsWith('sha256:') ? digest.slice('sha256:'.length, 'sha256:'.length + 12) : digest
}

/** Cuts text to `length` characters, the last of them `…`. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text)
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}
