import { chmod, mkdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { closeFd, openRoot, removeTree } from '@ts-oci/runtime'
import { toByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import { makeDirectories } from '../../base/make-directories.ts'
import { readAttributes } from '../attributes.ts'
import { reported } from '../compose.ts'
import { guarded, readDirectoryDestination, renameIfFree, temporaryBeside } from '../destination.ts'
import { withDirectoryLock } from '../directory-lock.ts'
import { readEpoch } from '../image-settings.ts'
import type { PlatformFilesOptions } from '../platform-files.ts'
import type { ExportContext, Exporter, ExportSource, Flag } from '../types.ts'
import { mergeTree } from './merge-tree.ts'
import { writeTree } from './write-tree.ts'

/** `type=local`: the image's file system as a directory. As root the files keep their owners, else they are the user's own. */
export const exporter: Exporter<{
  /** Directory. */
  readonly dest: string
  /** What is there stays. */
  readonly mode?: 'copy' | undefined
  readonly 'source-date-epoch'?: `${number}` | undefined
  /** The files of each platform in a directory of their own; default: where there are several platforms. */
  readonly 'platform-split'?: Flag | undefined
}> = {
  prepare(output, defaults) {
    const attributes = readAttributes(output.type, output.attrs)
    const path = readDirectoryDestination(output.type, attributes.text('dest'), defaults)
    const epochSec = readEpoch(attributes, defaults)
    const mode = attributes.text('mode')
    if (mode !== undefined && mode !== '' && mode !== 'copy') {
      throw new BuilderError('OCI_OPTION_UNSUPPORTED', `output type=local: mode=${mode} is not supported`, {
        hint: 'use mode=copy, and remove the directory first',
      })
    }
    const isSplit = attributes.flag('platform-split')
    attributes.refuse(['attestation-prefix'])
    attributes.end()
    return {
      type: output.type,
      name: 'exporting to client directory',
      reads: 'files',
      async run(source, context) {
        await reported(context, `copying files to ${path}`, () =>
          writeDirectory(path, { epochSec, isSplit }, source, context),
        )
        return { type: output.type, names: [], dest: path }
      },
    }
  },
}

/**
 * A new directory is written beside its name and then appears whole. For one that is there everything is written inside
 * it first (it may be a mount, or the only place that the user may write to); then the files are moved, which needs no
 * space and no time worth mentioning.
 */
async function writeDirectory(
  path: string,
  options: PlatformFilesOptions,
  source: ExportSource,
  context: ExportContext,
): Promise<void> {
  const existing = await guarded(path, () => stat(path).catch(ignoreMissing))
  if (existing !== undefined && !existing.isDirectory())
    throw new BuilderError('OCI_EXPORT_FAILED', `destination ${path} is not a directory`, { hint: 'name a directory' })
  if (existing === undefined) await guarded(path, async () => makeDirectories(dirname(path)))
  const temporary = existing === undefined ? temporaryBeside(path) : temporaryBeside(join(path, basename(path)))
  try {
    await guarded(path, async () => {
      await mkdir(temporary, { mode: 0o700 })
      await writeTree(temporary, source, { ...options, signal: context.signal })
      if (existing === undefined) {
        await chmod(temporary, 0o755)
        if (await renameIfFree(temporary, path)) return
      }
      // One export at a time moves its files: what two write is as if one had come after the other.
      await withDirectoryLock(path, context.signal, async () => mergeTree(temporary, path))
    })
  } finally {
    removeTemporary(temporary)
  }
}

/** By descriptors: a directory of the image may forbid to look into it. Nothing of that name is no error. */
function removeTemporary(path: string): void {
  const parent = openRoot(dirname(path))
  try {
    removeTree(parent, toByteString(basename(path)))
  } finally {
    closeFd(parent)
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code === 'ENOENT') return undefined
  throw error
}
