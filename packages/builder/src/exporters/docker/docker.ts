import { prepareLayout, type LayoutAttributes } from '../oci/oci.ts'
import type { Exporter } from '../types.ts'

/** `type=docker`: an image layout with the `manifest.json` that `docker load` reads. */
export const exporter: Exporter<LayoutAttributes> = {
  prepare: (output, defaults) => prepareLayout(output, defaults, true),
}
