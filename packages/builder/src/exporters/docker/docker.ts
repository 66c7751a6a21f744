import { prepareLayout } from '../oci/oci.ts'
import type { Exporter } from '../types.ts'

/** `type=docker`: an image layout with the `manifest.json` that `docker load` reads. */
export const dockerExporter: Exporter = {
  type: 'docker',
  prepare: (output, defaults) => prepareLayout(output, defaults, true),
}
