/** Names of what a path can be refused with, in the words of strerror(3). */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  EIO: 'input/output error',
}

/** Why a call of `node:fs` on a path of the user failed: words where there are some, else the name of the error. */
export function errnoWords(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return WORDS[code ?? ''] ?? code ?? String(error)
}
