import { cacheonlyExporter } from './cacheonly/cacheonly.ts'
import { dockerExporter } from './docker/docker.ts'
import { imageExporter } from './image/image.ts'
import { localExporter } from './local/local.ts'
import { ociExporter } from './oci/oci.ts'
import { registryExporter } from './registry/registry.ts'
import { tarExporter } from './tar/tar.ts'
import type { Exporter } from './types.ts'

/** Every kind of output. */
export const EXPORTERS: readonly Exporter[] = [
  imageExporter,
  registryExporter,
  ociExporter,
  dockerExporter,
  tarExporter,
  localExporter,
  cacheonlyExporter,
]
