import { describe, expect, test } from '@jest/globals'
import { testDefaults } from './memory-image.test.helper.ts'
import { prepareOutputs, type LooseOutput } from './prepare.ts'

describe('attributes', () => {
  const refused: readonly (readonly [LooseOutput, RegExp])[] = [
    [{ type: 'oci', dest: 'x', compresion: 'gzip' }, /unknown attribute "compresion"/],
    [{ type: 'oci', dest: 'x', compression: 'brotli' }, /unsupported compression type "brotli"/],
    [{ type: 'image', compression: 'estargz' }, /compression=estargz is for images that leave the store/],
    [{ type: 'image', compression: 'zstd:chunked' }, /compression=zstd:chunked is for images that leave the store/],
    [{ type: 'oci', dest: 'x', compression: 'estargz', 'compression-level': '10' }, /from 0 to 9/],
    [
      { type: 'oci', dest: 'x', compression: 'estargz', 'oci-mediatypes': 'false' },
      /"compression=estargz" conflicts with "oci-mediatypes=false"/,
    ],
    [
      { type: 'oci', dest: 'x', 'compression-level': '10' },
      /compression-level=10: a whole number from 0 to 9 expected/,
    ],
    [{ type: 'oci', dest: 'x', compression: 'zstd', 'compression-level': '23' }, /from 0 to 22/],
    [{ type: 'oci', dest: 'x', tar: 'maybe' }, /tar=maybe: true or false expected/],
    [
      { type: 'oci', dest: 'x', compression: 'zstd', 'oci-mediatypes': 'false' },
      /"compression=zstd" conflicts with "oci-mediatypes=false"/,
    ],
    [
      { type: 'oci', dest: 'x', 'annotation-index.a': '1' },
      /index annotations not supported for single platform export/,
    ],
    [{ type: 'oci', dest: 'x', 'rewrite-timestamp': 'true' }, /rewrite-timestamp needs a time/],
    [{ type: 'oci', dest: 'x', 'oci-artifact': 'true' }, /attribute oci-artifact is not supported/],
    [{ type: 'oci', tar: 'false' }, /a directory is needed/],
    [{ type: 'local', dest: 'x', mode: 'delete' }, /mode=delete is not supported/],
    [{ type: 'local', dest: 'x', name: 'y' }, /unknown attribute "name"/],
    [{ type: 'squashfs', dest: 'x' }, /unknown output type "squashfs"/],
    [{ type: 'image', name: 'UPPER' }, /must be lowercase/],
  ]
  for (const [output, message] of refused) {
    test(`${JSON.stringify(output)} is refused`, async () => {
      await expect(prepareOutputs([output], testDefaults('/'))).rejects.toThrow(message)
    })
  }

  test.each<readonly [LooseOutput, string]>([
    [{ type: 'oci', dst: 'x' }, 'did you mean dest?'],
    [{ type: 'image', compresion: 'gzip' }, 'did you mean compression?'],
    [{ type: 'local', dest: 'x', name: 'y' }, 'known: dest, mode, platform-split, source-date-epoch'],
  ])('of an unknown attribute the hint tells what is meant or known: %j', async (output, hint) => {
    await expect(prepareOutputs([output], testDefaults('/'))).rejects.toMatchObject({ hint })
  })

  test('two outputs cannot both go to standard output', async () => {
    await expect(
      prepareOutputs(
        [
          { type: 'oci', dest: '-' },
          { type: 'tar', dest: '-' },
        ],
        testDefaults('/'),
      ),
    ).rejects.toThrow(/cannot both go to standard output/)
  })

  test('false values of what we lack are accepted', async () => {
    expect(await prepareOutputs([{ type: 'oci', dest: 'x', 'oci-artifact': 'false' }], testDefaults('/'))).toHaveLength(
      1,
    )
  })
})
