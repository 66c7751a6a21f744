import { readAttributes } from '../../../exporters/attributes.ts'
import { readExportAttributes } from '../attributes.ts'
import { importFromObjects, writeToObjects } from '../objects.ts'
import type { CacheBackend, CacheSpec, PreparedCacheExport, PreparedImport } from '../types.ts'
import { createAzureStore } from './client.ts'
import { readAzureSettings } from './settings.ts'

/** Layers that are written at once. */
const PARALLEL = 4

/** `type=azblob,account_url=URL`: blobs of a container, as BuildKit has them. */
export const backend: CacheBackend = { prepareImport, prepareExport }

function prepareImport({ attrs }: CacheSpec): PreparedImport {
  const attributes = readAttributes('azblob', attrs, 'cache')
  const settings = readAzureSettings(attributes)
  attributes.end()
  return importFromObjects(settings, () => createAzureStore(settings))
}

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('azblob', attrs, 'cache')
  const settings = readAzureSettings(attributes)
  const common = readExportAttributes(attributes, 'azblob')
  attributes.end()
  return {
    ...common,
    name: 'exporting cache to Azure Blob Storage',
    write: writeToObjects(settings, () => createAzureStore(settings), PARALLEL),
  }
}
