import { mkdir, rename, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { closeFd, openRoot, removeTree } from '@ts-oci/runtime'
import { toByteString } from '../../byte-string.ts'
import { BuilderError } from '../../errors.ts'
import { makeDirectories } from '../../make-directories.ts'
import { readAttributes } from '../attributes.ts'
import { reported } from '../compose.ts'
import { guarded, readDirectoryDestination, temporaryBeside } from '../destination.ts'
import { readEpoch } from '../image-settings.ts'
import type { ExportContext, ExportSource, Exporter } from '../types.ts'
import { mergeTree } from './merge-tree.ts'
import { writeTree } from './write-tree.ts'

/** `type=local`: the image's file system as a directory. As root the files keep their owners, else they are the user's own. */
export const localExporter: Exporter = {
  type: 'local',
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
    attributes.refuse(['platform-split', 'attestation-prefix'])
    attributes.end()
    return {
      type: output.type,
      name: 'exporting to client directory',
      reads: 'files',
      async run(source, context) {
        await reported(context, `copying files to ${path}`, () => writeDirectory(path, epochSec, source, context))
        return { type: output.type, names: [], dest: path }
      },
    }
  },
}

/**
 * Everything is written beside the destination first. A new directory then appears whole; into one that is there the
 * files are moved, which needs no space and no time worth mentioning.
 */
async function writeDirectory(
  path: string,
  epochSec: number | undefined,
  source: ExportSource,
  context: ExportContext,
): Promise<void> {
  const existing = await guarded(path, () => stat(path).catch(ignoreMissing))
  if (existing !== undefined && !existing.isDirectory())
    throw new BuilderError('OCI_EXPORT_FAILED', `destination ${path} is not a directory`, { hint: 'name a directory' })
  if (existing === undefined) await guarded(path, async () => makeDirectories(dirname(path)))
  const temporary = temporaryBeside(path)
  try {
    await guarded(path, async () => {
      await mkdir(temporary, { mode: 0o755 })
      await writeTree(temporary, source, { epochSec, signal: context.signal })
      if (existing === undefined) await rename(temporary, path)
      else mergeTree(temporary, path)
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
