import { access, constants, lstat, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
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

/** @throws OCI_EXPORT_FAILED */
export async function writeAnswer(file: AnswerFile, text: string): Promise<void> {
  await guarded(file, () => writeFile(file.path, text))
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
