import { BuilderError } from '../../base/errors.ts'
import { createIndex, serializeIndex } from '../../oci/image-index.ts'
import { digestHex } from '../../oci/digest.ts'
import { formatFamiliar, parseReference } from '../../oci/reference.ts'
import { goJson } from '../../oci/go-json.ts'
import { writeArchive, type ArchiveFile } from '../archive.ts'
import { readAttributes } from '../attributes.ts'
import {
  blobsOf,
  compose,
  exportedImages,
  isPlainGzip,
  reported,
  type Composed,
  type ComposedImage,
} from '../compose.ts'
import { openByteSink } from '../byte-sink.ts'
import { readDirectoryDestination, readFileDestination } from '../destination.ts'
import { readImageSettings, type ImageAttributes, type ImageSettings } from '../image-settings.ts'
import { LAYOUT_FILE, layoutDescriptor, layoutEntries } from '../layout-index.ts'
import type { ExportContext, ExportDefaults, Exporter, Flag, OutputSpec, PreparedExport } from '../types.ts'
import { writeLayoutDirectory } from './directory.ts'

/** Attributes of image layouts. */
export interface LayoutAttributes extends ImageAttributes {
  /** File, with `tar=false` directory; `-` for standard output. */
  readonly dest?: string | undefined
  readonly tar?: Flag | undefined
}

/** `type=oci`: an OCI image layout, as one tar or (`tar=false`) as a directory. */
export const exporter: Exporter<LayoutAttributes> = {
  prepare: (output, defaults) => prepareLayout(output, defaults, { isDocker: false }),
}

export interface LayoutKind {
  /** With the `manifest.json` that `docker load` reads. */
  readonly isDocker: boolean
  /** Instead of a file or directory. */
  readonly send?: (files: readonly ArchiveFile[], context: ExportContext) => Promise<void>
}

/** An image layout: an archive, a directory, or what somebody is sent. */
export function prepareLayout(
  output: OutputSpec,
  defaults: ExportDefaults,
  { isDocker: docker, send }: LayoutKind,
): PreparedExport {
  const attributes = readAttributes(output.type, output.attrs)
  const isTar = attributes.flag('tar') ?? true
  const dest = attributes.text('dest')
  const path = send === undefined ? readDestination(output.type, isTar, dest, defaults) : undefined
  const settings = readImageSettings(output, attributes, defaults)
  attributes.end()
  if (docker && (defaults.platforms?.length ?? 1) > 1)
    throw new BuilderError(
      'OCI_OPTION_UNSUPPORTED',
      'docker exporter does not support exporting manifest lists, use the oci exporter instead',
      { hint: 'use -o type=oci, or build one platform at a time' },
    )
  return {
    type: output.type,
    name: `exporting to ${output.type} image format`,
    reads: 'blobs',
    isStdout: path === '-',
    wantsGzip: send === undefined && isPlainGzip(settings),
    async run(source, context) {
      // What an engine of this machine would inflate again is not compressed for it.
      const defaultCompression = send === undefined ? 'gzip' : 'stored'
      const composed = await compose(source, context, { settings, defaultCompression })
      const descriptor = layoutDescriptor(composed, settings, context.now())
      const entries = layoutEntries(descriptor, settings)
      const files = layoutFiles({ composed, settings, entries, isDocker: docker })
      if (path === undefined) await send!(files, context)
      else if (isTar) await writeTar(path, files, context)
      else await reported(context, `writing ${path}`, () => writeLayoutDirectory(path, files, entries, context.signal))
      return {
        type: output.type,
        ...(path === undefined || path === '-' ? {} : { dest: path }),
        digest: composed.root.digest,
        descriptor,
        images: exportedImages(composed),
        names: settings.names,
      }
    },
  }
}

function readDestination(type: string, isTar: boolean, dest: string | undefined, defaults: ExportDefaults): string {
  return isTar ? readFileDestination(type, dest, defaults) : readDirectoryDestination(type, dest, defaults)
}

async function writeTar(path: string, files: readonly ArchiveFile[], context: ExportContext): Promise<void> {
  await reported(context, path === '-' ? 'sending tarball' : `writing ${path}`, async () => {
    const sink = await openByteSink(path, context.stdout, context.signal)
    try {
      await writeArchive(sink, files, context.signal)
      await sink.commit()
    } catch (error) {
      await sink.abort()
      throw error
    }
  })
}

interface Layout {
  readonly composed: Composed
  readonly settings: ImageSettings
  readonly entries: ReturnType<typeof layoutEntries>
  /** With what `docker load` looks for. */
  readonly isDocker: boolean
}

function layoutFiles({ composed, settings, entries, isDocker }: Layout): readonly ArchiveFile[] {
  return [
    ...blobsOf(composed).map((blob) => ({ name: `blobs/sha256/${digestHex(blob.digest)}`, blob })),
    { name: 'index.json', bytes: serializeIndex(createIndex(entries), 'compact') },
    { name: 'oci-layout', bytes: Buffer.from(LAYOUT_FILE), mode: 0o444 },
    ...(isDocker ? [{ name: 'manifest.json', bytes: dockerManifest(composed.images[0], settings) }] : []),
  ]
}

/** What `docker load` looks for (docker save's format, version 1.2). */
function dockerManifest(image: ComposedImage, settings: ImageSettings): Uint8Array {
  const path = (digest: Parameters<typeof digestHex>[0]): string => `blobs/sha256/${digestHex(digest)}`
  return Buffer.from(
    goJson([
      {
        Config: path(image.config.digest),
        RepoTags:
          settings.names.length === 0 ? null : settings.names.map((name) => formatFamiliar(parseReference(name))),
        Layers: image.layers.map((layer) => path(layer.descriptor.digest)),
      },
    ]),
  )
}
