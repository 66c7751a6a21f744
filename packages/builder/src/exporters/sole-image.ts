import type { ComposedImage } from './compose.ts'
import type { ExportedImage, ExportImage, ExportSource } from './types.ts'

/** The image of an output that writes one. Several platforms are refused where the options are read, not here. */
export function soleImage({ images }: ExportSource): ExportImage {
  const [image, ...more] = images
  if (image === undefined || more.length > 0) throw new Error(`${images.length} images where one is written`)
  return image
}

/** What the result of an output says of an image that it wrote. */
export function exportedImage({ image }: ExportImage, { manifest, config }: ComposedImage): ExportedImage {
  return { platform: image.platform, digest: manifest.digest, configDigest: config.digest }
}
