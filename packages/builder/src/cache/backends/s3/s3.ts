import { readAttributes } from '../../../exporters/attributes.ts'
import { readExportAttributes } from '../attributes.ts'
import { importFromObjects, writeToObjects } from '../objects.ts'
import type { CacheBackend, CacheSpec, PreparedCacheExport, PreparedImport } from '../types.ts'
import { createS3Store } from './client.ts'
import { readS3Settings } from './settings.ts'

/** `type=s3,bucket=NAME,region=NAME`: objects of a bucket, as BuildKit has them. */
export const backend: CacheBackend = { prepareImport, prepareExport }

function prepareImport({ attrs }: CacheSpec): PreparedImport {
  const attributes = readAttributes('s3', attrs, 'cache')
  const settings = readS3Settings(attributes)
  attributes.end()
  return importFromObjects(settings, () => createS3Store(settings))
}

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('s3', attrs, 'cache')
  const settings = readS3Settings(attributes)
  const common = readExportAttributes(attributes, 's3')
  attributes.end()
  return {
    ...common,
    name: 'exporting cache to Amazon S3',
    write: writeToObjects(settings, () => createS3Store(settings), settings.parallel),
  }
}
