import { timeOf } from '../oci/created.ts'
import type { LoweredImage } from './lowered.ts'
import { describe } from '../oci/descriptor.ts'
import type { DiffID } from '../oci/digest.ts'
import { formatTime } from '../oci/go-json.ts'
import { serializeImageConfig } from '../oci/image-config.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType, toFamily } from '../oci/media-types.ts'
import type { Descriptor, HistoryEntry, ImageConfig } from '../oci/types.ts'
import { clampHistory, completeHistory, lastTime, normalizeHistory, type HistoryLayer } from './history.ts'

/** A layer of the finished image. */
export interface AssembledLayer extends HistoryLayer {
  readonly diffId: DiffID
  readonly descriptor: Descriptor
}

export interface AssembleOptions {
  readonly image: LoweredImage
  /** Bottom first. */
  readonly layers: readonly AssembledLayer[]
  /** Default: OCI's. */
  readonly mediaTypes?: 'oci' | 'docker'
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly sourceDateEpoch?: number | undefined
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** `moby.buildkit.cache.v0` of the config. */
  readonly inlineCache?: unknown
}

/** An image as bytes. */
export interface AssembledImage {
  readonly configBytes: Uint8Array
  readonly config: Descriptor
  readonly manifestBytes: Uint8Array
  readonly manifest: Descriptor
  readonly history: readonly HistoryEntry[]
  /** Time of the image, milliseconds; of the year 1 when its history has none. */
  readonly createdMs: number
}

/** Config and manifest of an image, byte for byte as BuildKit writes them. */
export function assembleImage(options: AssembleOptions): AssembledImage {
  const { image, layers } = options
  const docker = options.mediaTypes === 'docker'
  const history = historyOf(options)
  const created = lastTime(history)
  const configBytes = serializeImageConfig({
    // `Omit` over an index signature forgets the members' types.
    ...(image.config as unknown as ImageConfig),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: image.omitsHistory === true ? [] : history,
    created,
    'moby.buildkit.cache.v0': options.inlineCache,
  })
  const config = describe(configBytes, docker ? MediaType.dockerConfig : MediaType.ociConfig)
  const manifestBytes = serializeManifest({
    schemaVersion: 2,
    mediaType: docker ? MediaType.dockerManifest : MediaType.ociManifest,
    config,
    layers: layers.map((layer) => layerDescriptor(layer.descriptor, docker)),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  })
  return {
    configBytes,
    config,
    manifestBytes,
    manifest: describe(manifestBytes, docker ? MediaType.dockerManifest : MediaType.ociManifest),
    history,
    createdMs: timeOf(created),
  }
}

function historyOf({ image, layers, sourceDateEpoch }: AssembleOptions): readonly HistoryEntry[] {
  const base = normalizeHistory(image.history.slice(0, image.baseHistoryLength))
  const complete = completeHistory([...base, ...image.history.slice(image.baseHistoryLength)], layers)
  return sourceDateEpoch === undefined ? complete : clampHistory(complete, formatTime(sourceDateEpoch * 1000), base)
}

// What builders note on a layer for themselves (containerd's labels); Docker's manifests have no annotations at all.
const INTERNAL = new Set(['containerd.io/uncompressed', 'buildkit/createdat'])
const INTERNAL_PREFIX = 'containerd.io/distribution.source.'

function layerDescriptor(descriptor: Descriptor, docker: boolean): Descriptor {
  const kept = Object.entries(descriptor.annotations ?? {}).filter(
    ([key]) => !INTERNAL.has(key) && !key.startsWith(INTERNAL_PREFIX),
  )
  const { annotations: _, platform: _platform, ...rest } = descriptor
  return {
    ...rest,
    mediaType: toFamily(descriptor.mediaType, docker ? 'docker' : 'oci'),
    ...(docker || kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }),
  }
}
