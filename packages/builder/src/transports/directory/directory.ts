import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import { makeDirectories } from '../../base/make-directories.ts'
import { verified } from '../../exporters/archive.ts'
import { guarded, temporaryBeside } from '../../exporters/destination.ts'
import { describe } from '../../oci/descriptor.ts'
import { digestHex, digestOf, isDigest } from '../../oci/digest.ts'
import { MAX_CONFIG_BYTES } from '../../oci/image-config.ts'
import { looksLikeIndex, parseIndex } from '../../oci/image-index.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import type { Descriptor } from '../../oci/types.ts'
import { mismatch } from '../../store/blobs.ts'
import { archivedBlob, readDocument, readWhole } from '../archive/blobs.ts'
import { openFileDirectory } from '../archive/directory-files.ts'
import { writtenImage } from '../layout/layout-files.ts'
import type { Bundle, SourceImage, Transport } from '../types.ts'

const VERSION = 'Directory Transport Version: 1.1\n'
const OWN = /^(?:version|manifest\.json|[0-9a-f]{64}(?:\.manifest\.json)?|signature-\d+)$/

/** `dir:DIRECTORY`: `manifest.json`, and each blob under the hex of its digest (containers-transports(5)). */
export const transport: Transport = {
  async open(rest) {
    const path = checkPath(rest)
    const status = await stat(path).catch(() => undefined)
    if (status?.isDirectory() !== true)
      throw new BuilderError('OCI_IMAGE_NOT_FOUND', `dir:${rest}: there is no such directory`)
    return { images: [await openDirectory(path)], [Symbol.asyncDispose]: async () => undefined }
  },
  async target(rest, _options, { signal }) {
    const path = resolve(checkPath(rest))
    await checkIsFree(path)
    return {
      takesIndex: true,
      wantsCompressed: false,
      async write([bundle]) {
        await writeDirectory(path, bundle!, signal)
        return [writtenImage({ ...bundle!, names: [] })]
      },
    }
  },
}

function checkPath(rest: string): string {
  if (rest !== '') return rest
  throw new BuilderError('OCI_OPTION_INVALID', 'dir: names no directory', { hint: 'dir:DIRECTORY' })
}

/** The image of such a directory. */
export async function openDirectory(path: string): Promise<SourceImage> {
  const files = openFileDirectory(path)
  const bytes = await readDocument(files, 'manifest.json', MAX_MANIFEST_BYTES)
  const { mediaType } = looksLikeIndex(bytes) ? parseIndex(bytes) : parseManifest(bytes)
  return {
    root: { bytes, descriptor: describe(bytes, mediaType) },
    names: [],
    isMade: false,
    async read(expected) {
      const hex = digestHex(expected.digest)
      const file = files.find(`${hex}.manifest.json`) ?? files.find(hex)
      if (file === undefined) return undefined
      const read = await readWhole(file, hex, Math.max(MAX_MANIFEST_BYTES, MAX_CONFIG_BYTES))
      const digest = digestOf(read)
      if (digest !== expected.digest) throw mismatch(expected, { digest, sizeBytes: read.length })
      return read
    },
    blob(descriptor) {
      const file = files.find(digestHex(descriptor.digest))
      return file === undefined ? undefined : archivedBlob(file, descriptor)
    },
  }
}

/** skopeo replaces what it wrote itself, and nothing else. @throws OCI_EXPORT_FAILED */
async function checkIsFree(path: string): Promise<void> {
  const names: string[] = await readdir(path).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw new BuilderError('OCI_EXPORT_FAILED', `cannot write ${path}: it is not a directory`, { cause: error })
  })
  if (names.every((name) => OWN.test(name)) && (names.length === 0 || names.includes('version'))) return
  throw new BuilderError('OCI_EXPORT_FAILED', `${path} holds something else than an image: it would be lost`, {
    hint: 'name a new directory',
  })
}

/** It appears whole under its name, and what had the name before goes as a whole: whoever is killed leaves no part of it there. */
async function writeDirectory(path: string, bundle: Bundle, signal: AbortSignal): Promise<void> {
  await guarded(path, async () => {
    makeDirectories(dirname(path))
    const temporary = temporaryBeside(path)
    try {
      await mkdir(temporary)
      await writeFiles(temporary, bundle, signal)
      await checkIsFree(path)
      await putInPlace(temporary, path)
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      throw error
    }
  })
}

async function putInPlace(temporary: string, path: string): Promise<void> {
  const before = temporaryBeside(path)
  await rename(path, before).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  try {
    await rename(temporary, path)
  } catch (error) {
    await rename(before, path).catch(() => undefined)
    throw error
  }
  await rm(before, { recursive: true, force: true })
}

async function writeFiles(directory: string, bundle: Bundle, signal: AbortSignal): Promise<void> {
  await writeNew(join(directory, 'version'), once(Buffer.from(VERSION)))
  for (const { descriptor, bytes } of bundle.children)
    await writeNew(join(directory, `${digestHex(descriptor.digest)}.manifest.json`), once(bytes))
  const written = new Set<string>()
  for (const { config } of bundle.images) {
    written.add(config.descriptor.digest)
    await writeNew(join(directory, digestHex(config.descriptor.digest)), once(config.bytes)).catch(orThere)
  }
  for (const { descriptor, open } of bundle.blobs) {
    const { digest, size }: Descriptor = descriptor
    if (written.has(digest) || !isDigest(digest)) continue
    await writeNew(join(directory, digestHex(digest)), verified({ digest, size, open: (stop) => open(stop) }, signal))
  }
  await writeNew(join(directory, 'manifest.json'), once(bundle.root.bytes))
}

/** Two images may have one config. */
function orThere(error: unknown): void {
  if ((error as { code?: unknown }).code !== 'EEXIST') throw error
}

async function writeNew(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const handle = await open(path, 'wx', 0o644)
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk)
  } finally {
    await handle.close()
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
