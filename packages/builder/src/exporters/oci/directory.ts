import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import { makeDirectories } from '../../base/make-directories.ts'
import { createIndex, parseIndex, serializeIndex } from '../../oci/image-index.ts'
import { MediaType } from '../../oci/media-types.ts'
import type { Descriptor } from '../../oci/types.ts'
import { verified, type ArchiveFile } from '../archive.ts'
import { guarded, renameIfFree, temporaryBeside } from '../destination.ts'
import { withDirectoryLock } from '../directory-lock.ts'
import { IMAGE_NAME, REF_NAME } from '../layout-index.ts'

/**
 * Writes an image into a layout directory. A new one appears whole under its name; one that is there keeps its other
 * images: blobs are added, and `index.json` is replaced last. One export at a time has a directory: another would read the
 * index before this one has written it, or count on a blob that this one takes away again when it fails.
 */
export async function writeLayoutDirectory(
  path: string,
  files: readonly ArchiveFile[],
  entries: readonly Descriptor[],
  signal?: AbortSignal,
): Promise<void> {
  const existing = await guarded(path, () => stat(path).catch(ignoreMissing))
  if (existing === undefined && (await createDirectory(path, files, signal))) return
  if (existing !== undefined && !existing.isDirectory())
    throw new BuilderError('OCI_EXPORT_FAILED', `destination ${path} is not a directory`, {
      hint: 'name a directory, or leave tar=false out',
    })
  await guarded(path, () => withDirectoryLock(path, signal, () => addToDirectory(path, files, entries, signal)))
}

function ignoreMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code === 'ENOENT') return undefined
  throw error
}

/** False when another export has made a directory of that name meanwhile. */
async function createDirectory(
  path: string,
  files: readonly ArchiveFile[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  await guarded(path, async () => makeDirectories(dirname(path)))
  const temporary = temporaryBeside(path)
  try {
    return await guarded(path, async () => {
      await mkdir(join(temporary, 'blobs/sha256'), { recursive: true })
      for (const file of files) await writeNew(join(temporary, file.name), file, signal)
      if (await renameIfFree(temporary, path)) return true
      await rm(temporary, { recursive: true, force: true })
      return false
    })
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

async function addToDirectory(
  path: string,
  files: readonly ArchiveFile[],
  entries: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const added: string[] = []
  try {
    await guarded(path, async () => {
      await mkdir(join(path, 'blobs/sha256'), { recursive: true })
      for (const file of files) {
        const target = join(path, file.name)
        if (file.name === 'index.json' || (await isThere(target, file))) continue
        await replace(target, (temporary) => writeNew(temporary, file, signal))
        added.push(target)
      }
      const index = join(path, 'index.json')
      const merged = mergeEntries(await readEntries(index), entries)
      await replace(index, (temporary) =>
        writeFile(temporary, serializeIndex(createIndex(merged), 'compact'), { flag: 'wx' }),
      )
    })
  } catch (error) {
    for (const target of added) await rm(target, { force: true })
    throw error
  }
}

/** Blobs are named by their content: one of that name and size is that blob. */
async function isThere(target: string, file: ArchiveFile): Promise<boolean> {
  const found = await stat(target).catch(ignoreMissing)
  if (found?.isFile() !== true) return false
  return 'blob' in file ? found.size === file.blob.size : file.name === 'oci-layout'
}

async function replace(target: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryBeside(target)
  try {
    await write(temporary)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeNew(path: string, file: ArchiveFile, signal: AbortSignal | undefined): Promise<void> {
  const handle = await open(path, 'wx', 0o644)
  try {
    if ('bytes' in file) await handle.writeFile(file.bytes)
    else for await (const chunk of verified(file.blob, signal)) await handle.writeFile(chunk)
  } finally {
    await handle.close()
  }
}

async function readEntries(path: string): Promise<readonly Descriptor[]> {
  const bytes = await readFile(path).catch(ignoreMissing)
  return bytes === undefined ? [] : parseIndex(bytes, MediaType.ociIndex).index.manifests
}

/** A name belongs to one image: entries that had it give way. An entry without a name is there once. */
function mergeEntries(existing: readonly Descriptor[], added: readonly Descriptor[]): readonly Descriptor[] {
  const nameOf = (entry: Descriptor): string =>
    JSON.stringify([entry.annotations?.[IMAGE_NAME], entry.annotations?.[REF_NAME]])
  const taken = new Map(added.map((entry) => [nameOf(entry), entry]))
  const kept = existing.filter((entry) => {
    const other = taken.get(nameOf(entry))
    const hasName = entry.annotations?.[IMAGE_NAME] !== undefined || entry.annotations?.[REF_NAME] !== undefined
    return other === undefined || (!hasName && other.digest !== entry.digest)
  })
  return [...kept, ...added]
}
