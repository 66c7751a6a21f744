import { afterEach, beforeEach, expect } from '@jest/globals'
import {
  describeWith,
  makeBusyboxBase,
  manifestOf,
  temporaryDirectory,
  testWith,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { truncateSync, writeFileSync } from 'node:fs'
import { build } from '../../index.ts'
import { findInLayout } from './layout.ts'

let work: TemporaryDirectory

beforeEach(async () => {
  work = await temporaryDirectory()
  await makeBusyboxBase(work.join('layout'))
  writeFileSync(work.join('Dockerfile'), 'FROM base\nCOPY --from=base /bin/busybox /copy\n')
})
afterEach(async () => {
  await work[Symbol.asyncDispose]()
})

describeWith(['busybox', 'tar'], 'a named context that is an OCI image layout', () => {
  const options = () => ({
    context: work.path,
    store: work.join('store'),
    buildContexts: { base: `oci-layout://${work.join('layout')}:latest` },
  })

  testWith([], 'is a base and a source of files, with no registry', async () => {
    const { layers } = await build(options())
    expect(layers.map((layer) => layer.createdBy)).toEqual([expect.any(String), 'COPY /bin/busybox /copy # buildkit'])
  })

  testWith([], 'is refused when a blob of it is cut off', async () => {
    const { layers } = await manifestOf({ layout: work.join('layout') })
    truncateSync(work.join(`layout/blobs/sha256/${layers[0]!.digest.slice(7)}`), 100)
    await expect(build(options())).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
  })

  testWith([], 'must have the tag', async () => {
    expect(() => findInLayout(`${work.join('layout')}:nosuch`)).toThrow(
      expect.objectContaining({ code: 'OCI_IMAGE_NOT_FOUND' }),
    )
    expect(() => findInLayout(work.path)).toThrow(expect.objectContaining({ code: 'OCI_CONTEXT_NOT_FOUND' }))
  })
})
