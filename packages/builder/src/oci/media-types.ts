import { compressions, type Compression } from './compressions.ts'

export type { Compression } from './compressions.ts'

/** Media types of the OCI image specification 1.1 and of Docker's schema 2, and what they have in common. */
export const MediaType = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociLayerForeign: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  ociLayerForeignGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ociLayerForeignZstd: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerLayerForeignGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const

/** What a client offers a registry when it asks for a manifest, indexes included. */
export const MANIFEST_ACCEPT: readonly string[] = [
  MediaType.ociIndex,
  MediaType.ociManifest,
  MediaType.dockerList,
  MediaType.dockerManifest,
]

/** True for an image index and for Docker's manifest list. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === MediaType.ociIndex || mediaType === MediaType.dockerList
}

/** The config of an image; registries' clients before schema 2 had a type of its own wrote the third. */
const CONFIG_TYPES: ReadonlySet<string> = new Set([
  MediaType.ociConfig,
  MediaType.dockerConfig,
  'application/octet-stream',
])

/** True for the config of an image: a manifest with another one is that of an artifact. */
export function isConfigType(mediaType: string): boolean {
  return CONFIG_TYPES.has(mediaType)
}

/** True for the manifest of one image. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === MediaType.ociManifest || mediaType === MediaType.dockerManifest
}

interface LayerKind {
  readonly compression: Compression
  readonly isForeign: boolean
}

const LAYER_KINDS: ReadonlyMap<string, LayerKind> = new Map<string, LayerKind>([
  ...compressions.flatMap(({ kind, ociSuffix, dockerSuffix }): [string, LayerKind][] => [
    [MediaType.ociLayer + ociSuffix, { compression: kind, isForeign: false }],
    [MediaType.dockerLayer + dockerSuffix, { compression: kind, isForeign: false }],
    [MediaType.ociLayerForeign + ociSuffix, { compression: kind, isForeign: true }],
  ]),
  [MediaType.dockerLayerForeignGzip, { compression: 'gzip', isForeign: true }],
])

/** How a layer of this media type is compressed; undefined when it is no layer that we know. */
export function layerCompression(mediaType: string): Compression | undefined {
  return LAYER_KINDS.get(mediaType)?.compression
}

/** True for layers that registries do not keep (Windows bases): they are fetched from `urls` and never pushed. */
export function isForeignLayer(mediaType: string): boolean {
  return LAYER_KINDS.get(mediaType)?.isForeign === true
}

/** The media type of a layer in this compression; Docker's spelling where `docker` is set. */
export function layerMediaType(compression: Compression, options: { readonly docker?: boolean } = {}): string {
  const { ociSuffix, dockerSuffix } = compressions.find(({ kind }) => kind === compression)!
  return options.docker === true ? MediaType.dockerLayer + dockerSuffix : MediaType.ociLayer + ociSuffix
}

const TWINS: readonly (readonly [oci: string, docker: string])[] = [
  [MediaType.ociIndex, MediaType.dockerList],
  [MediaType.ociManifest, MediaType.dockerManifest],
  [MediaType.ociConfig, MediaType.dockerConfig],
  [MediaType.ociLayer, MediaType.dockerLayer],
  [MediaType.ociLayerGzip, MediaType.dockerLayerGzip],
  [MediaType.ociLayerZstd, MediaType.dockerLayerZstd],
  [MediaType.ociLayerForeignGzip, MediaType.dockerLayerForeignGzip],
]

/** The same kind of content in the other family's spelling; unchanged when it has no twin. */
export function toFamily(mediaType: string, family: 'oci' | 'docker'): string {
  for (const [oci, docker] of TWINS)
    if (mediaType === oci || mediaType === docker) return family === 'oci' ? oci : docker
  return mediaType
}
