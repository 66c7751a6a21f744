import type { LoadedImage, LoadOptions } from './travel/load.ts'

export type { LoadedImage, LoadOptions } from './travel/load.ts'

/**
 * Takes the images of an archive into the store: what docker save, podman save, skopeo, crane, kaniko and others write,
 * Docker's format and OCI's, plain or compressed by gzip, zstd, xz or bzip2, a directory with the same files, or a stream.
 * Every blob is verified; a bad archive leaves the store's images as they were.
 * @throws OCI_ARCHIVE_INVALID, OCI_DIGEST_MISMATCH, OCI_LAYER_INVALID, OCI_PLATFORM_NOT_FOUND, OCI_STORE_FULL
 */
export async function load(options: LoadOptions = {}): Promise<readonly LoadedImage[]> {
  const travel = await import('./travel/load.ts')
  return travel.load(options)
}
