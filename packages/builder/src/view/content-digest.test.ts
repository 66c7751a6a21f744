import { expect, test } from '@jest/globals'
import type { ContentSelector } from './types.ts'
import { digestSelectors } from './content-digest.ts'
import { createChainView } from './view.ts'

const selector = (path: string): ContentSelector => ({
  path,
  allowWildcard: false,
  followLast: true,
  includePatterns: [],
  excludePatterns: [],
})

// Observed with BuildKit, most of the times: it looks at all sources side by side.
test('of several sources that are missing the last one is named', async () => {
  const view = createChainView([])
  await expect(digestSelectors(view, [selector('/a'), selector('/z')], async () => [])).rejects.toMatchObject({
    code: 'OCI_COPY_SOURCE_NOT_FOUND',
    message: 'failed to calculate checksum: "/z": not found',
  })
})
