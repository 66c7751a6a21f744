/** How the blobs of layers may be compressed, as plain data: names, levels and media types follow from it. */
export const compressions = [
  { name: 'uncompressed', kind: 'none', maxLevel: 0, ociSuffix: '', dockerSuffix: '' },
  { name: 'gzip', kind: 'gzip', maxLevel: 9, ociSuffix: '+gzip', dockerSuffix: '.gzip' },
  { name: 'zstd', kind: 'zstd', maxLevel: 22, ociSuffix: '+zstd', dockerSuffix: '.zstd' },
] as const

/** How the bytes of a layer's blob are compressed. */
export type Compression = (typeof compressions)[number]['kind']
/** What an output calls it. */
export type CompressionName = (typeof compressions)[number]['name']
