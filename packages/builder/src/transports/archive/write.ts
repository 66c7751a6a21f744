import { resolve } from 'node:path'
import { writeArchive } from '../../exporters/archive.ts'
import { openByteSink } from '../../exporters/byte-sink.ts'
import { layoutFiles, writtenImage, type LayoutFilesOptions } from '../layout/layout-files.ts'
import type { Bundle, TransportContext, WrittenImage } from '../types.ts'

/** Writes images as one tar, `-` for standard output; it appears whole, or not at all. */
export async function writeImageArchive(
  path: string,
  bundles: readonly Bundle[],
  options: LayoutFilesOptions,
  context: TransportContext,
): Promise<readonly WrittenImage[]> {
  const files = await layoutFiles(bundles, options)
  const sink = await openByteSink(path === '-' ? '-' : resolve(path), context.stdout(), context.signal)
  try {
    await writeArchive(sink, files, context.signal)
    await sink.commit()
  } catch (error) {
    await sink.abort()
    throw error
  }
  return bundles.map(writtenImage)
}
