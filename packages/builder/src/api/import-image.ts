import type { ImportOptions, ImportOutcome } from './travel/import-image.ts'

export type { ImportOptions, ImportOutcome } from './travel/import-image.ts'

/**
 * Makes an image of one layer of a tar: a file, plain or compressed, a URL, or `-`. Config and history are those that
 * docker import writes.
 * @throws OCI_DOCKERFILE_INVALID for a change that is none, OCI_LAYER_INVALID, OCI_SOURCE_FAILED, OCI_OPTION_INVALID
 * @example
 * await importImage('rootfs.tar.gz', { name: 'my-base', changes: ['CMD ["sh"]'] })
 */
export async function importImage(source: string, options: ImportOptions = {}): Promise<ImportOutcome> {
  const travel = await import('./travel/import-image.ts')
  return travel.importImage(source, options)
}
