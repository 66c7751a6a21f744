import { expect, test } from '@jest/globals'
import { digestOf, type Digest } from '../oci/digest.ts'
import { makeEntry } from './entry.ts'
import { sharedDigests, type HeadedDigester } from './shared-digest.ts'
import type { ContentSelector } from './types.ts'
import { createChainView } from './view.ts'

// The expected digests are those of BuildKit's own tests of its content hash (cache/contenthash, checksum_test.go).
const DATA0 = 'sha256:cd8e75bca50f2d695f220d0cb0997d8ead387e4f926e8669a92d7f104cc9885b'
const DATA1 = 'sha256:c2b5e234f5f38fc5864da7def04782f82501a40d46192e4207d5b3f0c3c4732b'
const D0 = 'sha256:d47454417d2c554067fbefe5f5719edc49f3cfe969c36b62e34a187a4da0cc9a'
const ROOT = 'sha256:427c9cf9ae98c0f81fb57a3076b965c7c149b6b0a85625ad4e884236649a42c6'
const D0_FILE_BY_FILE = 'sha256:6b612ad5c13159112ae26357ef7bd34df29916941ba40ec2ce38dfb70c6c60c3'
const F_STAR = 'sha256:0b6731924f0a32a812bf8a729202e55e54ded331f9e4ff2397f681e43694e086'
const Y_STAR = 'sha256:982153600b9653a1decb0f961e09e2bc1be335cfcaac9b39dbd1120b65fdf92c'
const FOO_WITH_DEAD_LINK = 'sha256:9b761577efcb1239cf4be971914c5d7404914dd32ff436401af1764dc5446b83'
const FO_WILDCARD = 'sha256:2797e710c6d1a89ff2d91c834b828b1dc500f2982430a58241df8e146f4c4bb4'

/** `ADD d0/abc file data0` of BuildKit's tests. */
function viewOf(lines: readonly string[], mode = 0o644): ReturnType<typeof createChainView> {
  const entries = lines.map((line) => {
    const [, path, kind, text = ''] = line.split(' ') as [string, string, string, string?]
    if (kind === 'dir') return makeEntry({ path, type: 'directory', mode: 0o755 })
    if (kind === 'symlink') return makeEntry({ path, type: 'symlink', mode: 0o777, link: text })
    const bytes = Buffer.from(text)
    return makeEntry({ path, type: 'file', mode, size: bytes.length, content: { kind: 'inline', bytes } })
  })
  return createChainView([{ entries }])
}

const hashInline: HeadedDigester = async (files) =>
  files.map(({ entry, head }) => {
    if (entry.content?.kind !== 'inline') throw new Error('not inline')
    return digestOf(Buffer.concat([head, entry.content.bytes]))
  })

const PLAIN = { followLast: true, allowWildcard: false, includePatterns: [], excludePatterns: [] }

/** Of one selector; the digest of several is that of their digests. */
async function digestOne(view: ReturnType<typeof viewOf>, selector: Partial<ContentSelector>): Promise<Digest> {
  return (await sharedDigests(view, [{ ...PLAIN, path: '/', ...selector }], hashInline, { isContext: false }))[0]!
}

const single = (digest: string): Digest => digestOf(digest)

const BASIC = [
  'ADD bar file data1',
  'ADD d0 dir',
  'ADD d0/abc file data0',
  'ADD d0/def symlink abc',
  'ADD d0/ghi symlink nosuchfile',
  'ADD foo file data0',
]

test.each([
  ['foo', DATA0],
  ['bar', DATA1],
  ['d0/abc', DATA0],
  ['d0/def', DATA0],
  ['d0', D0],
  ['/', ROOT],
])('a file, a link and a directory have the digest that BuildKit gives them: %s', async (path, expected) => {
  expect(await digestOne(viewOf(BASIC), { path })).toBe(single(expected))
})

test('a path that is not there, and a link that leads nowhere, are told', async () => {
  for (const path of ['nosuch', 'd0/ghi'])
    await expect(digestOne(viewOf(BASIC), { path })).rejects.toMatchObject({ code: 'OCI_COPY_SOURCE_NOT_FOUND' })
})

const WILD = [
  'ADD bar file data1',
  'ADD foo file data0',
  'ADD fox file data2',
  'ADD x dir',
  'ADD x/d0 dir',
  'ADD x/d0/abc file data0',
  'ADD x/d0/def symlink abc',
  'ADD x/d0/ghi symlink nosuchfile',
  'ADD y1 symlink foo',
  'ADD y2 symlink fox',
]

test.each([
  ['f*o', false, digestOf(`\0foo${DATA0}`)],
  ['f*', false, F_STAR],
  ['x/d?', false, D0_FILE_BY_FILE],
  ['x/d?/def', true, DATA0],
  ['y*', true, Y_STAR],
])('what a wildcard matches is a list of files: %s', async (path, followLast, expected) => {
  expect(await digestOne(viewOf(WILD), { path, followLast, allowWildcard: true })).toBe(single(expected))
})

test('a star takes what lies in the root, not the root itself', async () => {
  const view = viewOf(['ADD a file data0'])
  expect(await digestOne(view, { path: '*', allowWildcard: true })).toBe(single(digestOf(`\0a${DATA0}`)))
})

test('a wildcard that matches nothing is the digest of nothing', async () => {
  expect(await digestOne(viewOf(WILD), { path: 'q*', allowWildcard: true })).toBe(single(digestOf('')))
})

const DEAD = ['ADD foo dir', 'ADD foo/ghi symlink target', 'ADD sym symlink target', 'ADD target file data0']

test('a dead link in a directory is not followed, with a wildcard or an exclusion or without', async () => {
  const view = viewOf(DEAD)
  expect(await digestOne(view, { path: 'foo' })).toBe(single(FOO_WITH_DEAD_LINK))
  expect(await digestOne(view, { path: 'fo?', allowWildcard: true })).toBe(single(FO_WILDCARD))
  expect(await digestOne(view, { path: 'foo', excludePatterns: ['*.git'] })).toBe(single(FOO_WITH_DEAD_LINK))
})

test('several selectors are the digest of their digests, none is all of it', async () => {
  const view = viewOf(BASIC)
  const both = await sharedDigests(
    view,
    [
      { ...PLAIN, path: 'bar' },
      { ...PLAIN, path: 'foo' },
    ],
    hashInline,
    {
      isContext: true,
    },
  )
  expect(both).toEqual([digestOf(`${DATA1}\0${DATA0}`)])
  expect(await sharedDigests(view, [], hashInline, { isContext: false })).toEqual([single(ROOT)])
})
