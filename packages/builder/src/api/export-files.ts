import type { ExportOptions } from './travel/export-files.ts'

export type { ExportOptions } from './travel/export-files.ts'

/**
 * Writes the files of an image as one tar: the layers merged, whiteouts applied, owners, links, devices and attributes kept.
 * Nothing is unpacked for it.
 * @throws OCI_IMAGE_NOT_FOUND, OCI_EXPORT_FAILED
 */
export async function exportFiles(image: string, options: ExportOptions = {}): Promise<void> {
  const travel = await import('./travel/export-files.ts')
  return travel.exportFiles(image, options)
}
