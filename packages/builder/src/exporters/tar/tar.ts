import { BuilderError } from '../../base/errors.ts'
import { BLOCK_BYTES, headerRoom, paddedSize, writeHeader } from '../../tar/header.ts'
import type { LayerEntry, ViewEntry } from '../../view/types.ts'
import { readAttributes } from '../attributes.ts'
import { reported } from '../compose.ts'
import { openByteSink, type ByteSink } from '../byte-sink.ts'
import { readFileDestination } from '../destination.ts'
import { readEpoch } from '../image-settings.ts'
import { platformFiles, type PlatformFile, type PlatformFilesOptions } from '../platform-files.ts'
import type { ExportContext, Exporter, ExportSource, Flag } from '../types.ts'

/** `type=tar`: the image's file system as one tar. */
export const exporter: Exporter<{
  /** `-`, the default, for standard output. */
  readonly dest?: string | undefined
  readonly 'source-date-epoch'?: `${number}` | undefined
  /** The files of each platform in a directory of their own; default: where there are several platforms. */
  readonly 'platform-split'?: Flag | undefined
}> = {
  prepare(output, defaults) {
    const attributes = readAttributes(output.type, output.attrs)
    const path = readFileDestination(output.type, attributes.text('dest'), defaults)
    const epochSec = readEpoch(attributes, defaults)
    const isSplit = attributes.flag('platform-split')
    attributes.refuse(['attestation-prefix'])
    attributes.end()
    return {
      type: output.type,
      name: 'exporting to client tarball',
      reads: 'files',
      isStdout: path === '-',
      async run(source, context) {
        await reported(context, path === '-' ? 'sending tarball' : `writing ${path}`, () =>
          writeTar(path, { epochSec, isSplit }, source, context),
        )
        return { type: output.type, names: [], ...(path === '-' ? {} : { dest: path }) }
      },
    }
  },
}

async function writeTar(
  path: string,
  options: PlatformFilesOptions,
  source: ExportSource,
  context: ExportContext,
): Promise<void> {
  const sink = await openByteSink(path, context.stdout, context.signal)
  try {
    for await (const file of platformFiles(source, options)) {
      context.signal?.throwIfAborted()
      await writeEntry(sink, file, context)
    }
    await sink.write(Buffer.alloc(2 * BLOCK_BYTES))
    await sink.commit()
  } catch (error) {
    await sink.abort()
    throw error
  }
}

async function writeEntry(
  sink: ByteSink,
  { entry, original, image }: PlatformFile,
  context: ExportContext,
): Promise<void> {
  const header = Buffer.alloc(headerRoom(entry))
  await sink.write(header.subarray(0, writeHeader(header, 0, entry)))
  if (entry.type !== 'file' || entry.size === 0) return
  let written = 0
  for await (const chunk of image.readFile(original, context.signal)) {
    written += chunk.length
    if (written > entry.size) break
    await sink.write(chunk)
  }
  if (written !== entry.size) throw changedSize(entry, written)
  const padding = paddedSize(written) - written
  if (padding > 0) await sink.write(Buffer.alloc(padding))
}

/** The error for content that is not as long as its entry says. */
export function changedSize(entry: LayerEntry | ViewEntry, written: number): BuilderError {
  return new BuilderError(
    'OCI_EXPORT_FAILED',
    `${JSON.stringify(entry.path)} has ${written} bytes where ${entry.size} were expected`,
    {
      hint: 'the store may be damaged: `tsbuild store check --repair`, then build again',
    },
  )
}
