import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect } from '@jest/globals'
import { startStandIn, temporaryDirectory, testWith, type StandIn, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from './build.ts'
import { digestOf } from '../oci/digest.ts'

let work: TemporaryDirectory
let server: StandIn

beforeEach(async () => {
  work = await temporaryDirectory()
  server = await startStandIn((_request, response) => {
    response.writeHead(200, { 'last-modified': 'Fri, 13 Feb 2009 23:31:30 GMT' }).end('body')
  })
  mkdirSync(work.join('context'))
  writeFileSync(work.join('context/file'), 'content')
})
afterEach(async () => {
  await server.stop()
  await work[Symbol.asyncDispose]()
})

/** Builds an archive on a store of its own; its digest and the times of the layer's entries (UTC). */
async function buildArchive(
  dockerfile: string,
  name: string,
): Promise<{ readonly digest: string; readonly times: string[] }> {
  writeFileSync(work.join('context/Dockerfile'), dockerfile)
  const dest = work.join(`${name}.tar`)
  const attributes = { dest, 'rewrite-timestamp': 'true', compression: 'uncompressed' as const }
  await build({
    context: work.join('context'),
    store: work.join(`store-${name}`),
    outputs: [{ type: 'oci', ...attributes }],
  })
  const read = (path: string): Buffer => execFileSync('tar', ['-xOf', dest, path])
  const blob = (digest: string): Buffer => read(`blobs/sha256/${digest.slice(7)}`)
  const index = JSON.parse(read('index.json').toString()) as { manifests: [{ digest: string }] }
  const manifest = JSON.parse(blob(index.manifests[0].digest).toString()) as { layers: { digest: string }[] }
  writeFileSync(work.join('layer.tar'), blob(manifest.layers.at(-1)!.digest))
  const listing = execFileSync('tar', ['--utc', '--full-time', '-tvf', work.join('layer.tar')], { encoding: 'utf8' })
  return {
    digest: digestOf(readFileSync(dest)),
    times: [...listing.matchAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g)].map(([time]) => time),
  }
}

describe('a fixed time in the Dockerfile', () => {
  testWith(['tar'], 'makes two builds on two stores the same bytes', async () => {
    const dockerfile = 'ARG SOURCE_DATE_EPOCH=1000000000\nFROM scratch\nWORKDIR /made\nCOPY file /made/\n'
    const one = await buildArchive(dockerfile, 'one')
    const two = await buildArchive(dockerfile, 'two')
    expect(two.digest).toBe(one.digest)
    expect(new Set(one.times)).toEqual(new Set(['2001-09-09 01:46:40']))
  })

  testWith(['tar'], 'may be that of a file that a stage adds from the web', async () => {
    const dockerfile = `ARG SOURCE_DATE_EPOCH=time\nFROM scratch AS time\nADD http://${server.host}/release.txt /\nFROM scratch\nCOPY file /\n`
    expect((await buildArchive(dockerfile, 'web')).times).toEqual(['2009-02-13 23:31:30'])
  })

  testWith(['tar'], 'must be there when times are to be rewritten', async () => {
    await expect(buildArchive('FROM scratch\nCOPY file /\n', 'none')).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
    })
  })
})
