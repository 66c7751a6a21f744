import { prepareImage } from '../image/image.ts'
import type { Exporter } from '../types.ts'

/** `type=registry`: `type=image,push=true`. */
export const registryExporter: Exporter = {
  type: 'registry',
  prepare: (output, defaults) => prepareImage(output, defaults, true),
}
