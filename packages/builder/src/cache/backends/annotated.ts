/** Caches that have no manifest: each layer of the config says of itself what a descriptor would say. */
import { BuilderError } from '../../base/errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { decodeConfig, encodeConfig } from '../buildkit/config.ts'
import { boundConfig } from '../buildkit/bound-config.ts'
import { cacheOf } from './manifest.ts'
import type { CacheToWrite, ImportedCache } from './types.ts'

/** BuildKit sets no bound for these; what is larger was not written by a build. */
export const MAX_ANNOTATED_BYTES: number = 16 << 20

/** @throws OCI_CACHE_INVALID */
export function readAnnotatedConfig(bytes: Uint8Array, reference: string): ImportedCache {
  return cacheOf(decodeConfig(Buffer.from(bytes).toString('utf8')), [], reference)
}

/** The config as BuildKit writes it to such places, and how many keys it leaves out. */
export function annotatedConfig({ config, layers }: CacheToWrite): {
  readonly bytes: Uint8Array
  readonly leftOut: number
} {
  const annotated = config.layers.map((layer) => {
    const { mediaType, size, annotations = {} } = layers.get(layer.blob)!.descriptor
    const diffId = annotations['containerd.io/uncompressed'] as Digest | undefined
    if (diffId === undefined) throw new Error(`the layer ${layer.blob} has no diffID`)
    const createdAt = annotations['buildkit/createdat']
    return { ...layer, annotations: { mediaType, diffId, size, ...(createdAt === undefined ? {} : { createdAt }) } }
  })
  const bound = boundConfig({ ...config, layers: annotated }, (one) => encodeConfig(one).length <= MAX_ANNOTATED_BYTES)
  if (bound === undefined)
    throw new BuilderError('OCI_CACHE_INVALID', `no part of the cache is below ${MAX_ANNOTATED_BYTES} bytes`)
  return { bytes: Buffer.from(encodeConfig(bound.config)), leftOut: bound.leftOut }
}
