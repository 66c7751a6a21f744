import type { SaveOptions, SaveOutcome } from './travel/save.ts'

export type { SaveFormat, SaveOptions, SaveOutcome } from './travel/save.ts'

/**
 * Writes images of the store as one archive, what several share once. Bytes and digests are those of the store, but that in
 * Docker's format plain layers are compressed where others of their image are; what a base lacks is fetched. An image that is named by its id gets no name there.
 * @throws OCI_IMAGE_NOT_FOUND, OCI_PLATFORM_NOT_FOUND, OCI_OPTION_INVALID, OCI_EXPORT_FAILED
 */
export async function save(images: readonly string[], options: SaveOptions = {}): Promise<SaveOutcome> {
  const travel = await import('./travel/save.ts')
  return travel.save(images, options)
}
