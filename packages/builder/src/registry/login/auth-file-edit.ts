import { chown, mkdir, open, readlink, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { closeFd, flockFd, OpenFlags, openPath } from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import { parseAuthJson, readAuthText } from '../auth-files.ts'
import { pause } from '../retry.ts'

/** An auth file as JSON: what is not ours to know stays as it is. */
export type AuthJson = Record<string, unknown>

/** Of the kernel, too. */
const MAX_LINKS = 40
const WAIT_MS = 50
/** Who holds the lock writes a small file, or waits for a helper of the user's: then that is told. */
const MAX_WAIT_MS = 60_000

/**
 * Changes an auth file of Docker or Podman: read, changed and replaced as one, under a lock, so that two logins at once both
 * stand there afterwards; readable for its owner alone. One that is missing is made. Through a link the file behind it is
 * changed, as Docker does.
 * @param edit gets what the file holds and answers what it shall hold; undefined: nothing changes
 * @throws OCI_CREDENTIALS
 */
export async function editAuthFile(
  path: string,
  edit: (file: AuthJson) => Promise<AuthJson | undefined>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await resolveTarget(path)
  const folder = dirname(target)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => fail(path, cause))
  // The folder itself is locked: a file of the lock's own would stay behind in the user's home.
  const release = await lockFolder(folder, path, signal)
  try {
    const text = await readAuthText(target)
    const changed = await edit(text === undefined || text.trim() === '' ? {} : parseAuthJson(target, text))
    // Tabs, as Docker writes it.
    if (changed !== undefined) await replace(target, JSON.stringify(changed, undefined, '\t'))
  } catch (cause) {
    if (cause instanceof BuilderError) throw cause
    fail(path, cause)
  } finally {
    release()
  }
}

/** What a link leads to, also where that is not there yet. */
async function resolveTarget(path: string): Promise<string> {
  let target = path
  for (let link = 0; link <= MAX_LINKS; link++) {
    const next = await readlink(target).catch(() => undefined)
    if (next === undefined) return target
    target = resolve(dirname(target), next)
  }
  throw new BuilderError('OCI_CREDENTIALS', `the auth file ${path} is a link that leads in a circle`)
}

async function lockFolder(folder: string, path: string, signal: AbortSignal | undefined): Promise<() => void> {
  let fd: number
  try {
    fd = openPath(folder, OpenFlags.directory)
  } catch (cause) {
    fail(path, cause)
  }
  try {
    for (let waitedMs = 0; !flockFd(fd, 'exclusive'); waitedMs += WAIT_MS) {
      if (waitedMs >= MAX_WAIT_MS)
        throw new BuilderError('OCI_CREDENTIALS', `another process has kept ${folder} locked for a minute`, {
          hint: 'another login there waits for something: end it, or try again',
        })
      await pause(WAIT_MS, signal)
    }
    return () => closeFd(fd)
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

async function replace(target: string, text: string): Promise<void> {
  const temporary = `${target}.${process.pid}.${Date.now().toString(36)}`
  const before = await stat(target).catch(() => undefined)
  try {
    {
      await using file = await open(temporary, 'wx', 0o600)
      await file.writeFile(text)
      await file.sync()
    }
    // Root changes the file of another user: it stays that user's.
    if (before !== undefined && process.getuid?.() === 0) await chown(temporary, before.uid, before.gid)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function fail(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException
  throw new BuilderError(
    'OCI_CREDENTIALS',
    `cannot write the auth file ${path}${code === undefined ? '' : ` (${code})`}`,
    {
      hint: 'make its folder writable for this user, or name another file: --authfile FILE',
      cause,
    },
  )
}
