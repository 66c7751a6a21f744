import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
  /** A path inside. */
  join(...names: string[]): string
}

/** A new empty directory that disappears with its scope: `await using directory = await temporaryDirectory()`. */
export async function temporaryDirectory(prefix = 'ts-oci-'): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  return {
    path,
    join: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}

/** Where slow parts (a Debian base) are kept between runs, outside the checkout. */
export async function cacheDirectory(): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const path = process.env['TS_OCI_TEST_CACHE'] || join(base, 'ts-oci-tests')
  await mkdir(path, { recursive: true })
  return path
}
