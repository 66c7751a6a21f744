import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { EMPTY_HASH, encodeKey, signRequest } from './signature.ts'

/** The examples of the S3 API reference, "Signature Calculations for the Authorization Header". */
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const nowMs = Date.UTC(2013, 4, 24)
const common = { region: 'us-east-1', credentials, nowMs }
const host = 'https://examplebucket.s3.amazonaws.com'

function signatureOf(request: Parameters<typeof signRequest>[0]): string | undefined {
  return /Signature=(.*)$/.exec(signRequest(request)['authorization']!)?.[1]
}

test('a GET with a range is signed as the reference has it', () => {
  const url = new URL(`${host}/test.txt`)
  const request = { ...common, method: 'GET', url, headers: { range: 'bytes=0-9' }, payloadHash: EMPTY_HASH }
  expect(signatureOf(request)).toBe('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
})

test('a PUT whose key has a dollar sign is signed as the reference has it', () => {
  const url = new URL(`${host}/${encodeKey('test$file.text')}`)
  const headers = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }
  const payloadHash = createHash('sha256').update('Welcome to Amazon S3.').digest('hex')
  expect(signatureOf({ ...common, method: 'PUT', url, headers, payloadHash })).toBe(
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  )
})

test.each([
  ['lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
])('a query %s is signed as the reference has it', (query, signature) => {
  const url = new URL(`${host}/?${query}`)
  expect(signatureOf({ ...common, method: 'GET', url, headers: {}, payloadHash: EMPTY_HASH })).toBe(signature)
})
