import { randomUUID } from 'node:crypto'
import { access, constants, lstat, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { getSystemErrorMessage } from 'node:util'

/** A file for scripts that a build leaves behind. */
export interface AnswerFile {
  /** `image ID`, `metadata`. */
  readonly what: string
  readonly path: string
}

/** Fails before the build when the file could not be written after it. @throws OCI_EXPORT_FAILED */
export async function checkAnswerFile(file: AnswerFile): Promise<void> {
  await guarded(file, async () => {
    const existing = await stat(file.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (existing?.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
    await access(existing === undefined ? dirname(file.path) : file.path, constants.W_OK)
  })
}

/** Only files of an earlier build go: `/dev/stdout` and pipes stay where they are. */
export async function removeStale(file: AnswerFile): Promise<void> {
  await guarded(file, async () => {
    const isFile = await lstat(file.path).then(
      (stats) => stats.isFile(),
      () => false,
    )
    if (isFile) await rm(file.path, { force: true })
  })
}

/** A file appears whole, or the one of before stays; a link, a pipe or a device is written to. @throws OCI_EXPORT_FAILED */
export async function writeAnswer(file: AnswerFile, text: string): Promise<void> {
  await guarded(file, async () => {
    const before = await lstat(file.path).catch(() => undefined)
    // `/dev/stdout` is a link that leads to the file behind it: that one must not be replaced.
    if (before !== undefined && !before.isFile()) return writeFile(file.path, text)
    const temporary = join(dirname(file.path), `.${basename(file.path).slice(0, 100)}.${randomUUID()}.tmp`)
    try {
      await writeFile(temporary, text, { flag: 'wx', mode: before === undefined ? 0o666 : before.mode & 0o777 })
      await rename(temporary, file.path)
    } catch (error) {
      await rm(temporary, { force: true })
      // A file that may be written, in a directory where none may be made.
      const { code } = error as NodeJS.ErrnoException
      if (before === undefined || !['EACCES', 'EPERM', 'EROFS', 'EBUSY'].includes(code ?? '')) throw error
      await writeFile(file.path, text)
    }
  })
}

async function guarded(file: AnswerFile, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    const { BuilderError } = await import('@ts-oci/builder')
    throw new BuilderError('OCI_EXPORT_FAILED', `writing ${file.what} file: open ${file.path}: ${reasonOf(cause)}`, {
      cause,
      hint: 'name a file in a directory that exists and that you may write to',
    })
  }
}

/** As the C library words it. */
function reasonOf(cause: unknown): string {
  const { code, errno, message } = cause as NodeJS.ErrnoException
  if (code === 'EISDIR') return 'is a directory'
  return errno === undefined ? message : getSystemErrorMessage(errno)
}
