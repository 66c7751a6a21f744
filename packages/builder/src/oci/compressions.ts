/** How the blobs of layers may be compressed, as plain data: names, levels and media types follow from it. */
export const compressions = [
  { name: 'uncompressed', kind: 'none', maxLevel: 0, ociSuffix: '', dockerSuffix: '' },
  // With a table of contents; read as what they are made of, so the plain ones come last: a media type means those.
  { name: 'estargz', kind: 'estargz', maxLevel: 9, ociSuffix: '+gzip', dockerSuffix: '.gzip' },
  { name: 'zstd:chunked', kind: 'zstd:chunked', maxLevel: 22, ociSuffix: '+zstd', dockerSuffix: '.zstd' },
  { name: 'gzip', kind: 'gzip', maxLevel: 9, ociSuffix: '+gzip', dockerSuffix: '.gzip' },
  { name: 'zstd', kind: 'zstd', maxLevel: 22, ociSuffix: '+zstd', dockerSuffix: '.zstd' },
] as const

/** How the bytes of a layer's blob are compressed. */
export type Compression = (typeof compressions)[number]['kind']
/** What an output calls it. */
export type CompressionName = (typeof compressions)[number]['name']
