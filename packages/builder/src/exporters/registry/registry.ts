import { prepareImage, type PushAttributes } from '../image/image.ts'
import type { Exporter } from '../types.ts'

/** `type=registry`: `type=image,push=true`. */
export const exporter: Exporter<PushAttributes> = {
  prepare: (output, defaults) => prepareImage(output, defaults, true),
}
