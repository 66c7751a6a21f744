import { expect, test } from '@jest/globals'
import { stringToSign } from './shared-key.ts'

test('the text that is signed is that of "Authorize with Shared Key"', () => {
  // The example of the reference: Get Container Metadata.
  const url = new URL('https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20')
  const headers = { 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT', 'x-ms-version': '2015-02-21' }
  expect(stringToSign('myaccount', 'GET', url, headers)).toBe(
    'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20',
  )
})
