import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, testWith } from '@ts-oci/testing'
import { exportFixture, type ExportFixture } from '../memory-image.test.helper.ts'

let fixture: ExportFixture
let directory: ExportFixture['directory']
let exportTo: ExportFixture['exportTo']

beforeEach(async () => {
  fixture = await exportFixture()
  ;({ directory, exportTo } = fixture)
})
afterEach(async () => fixture[Symbol.asyncDispose]())

async function untar(archive: string): Promise<string> {
  const into = directory.join(`${archive}.d`)
  mkdirSync(into)
  await checkTool('tar', ['-xf', directory.join(archive), '-C', into])
  return into
}

describe('type=docker', () => {
  test('manifest.json names config, layers and tags as docker save does', async () => {
    const result = await exportTo({ type: 'docker', dest: 'app.tar', name: 'my-app:1,localhost:5000/x/y' })
    const [manifest] = JSON.parse(readFileSync(join(await untar('app.tar'), 'manifest.json'), 'utf8'))
    expect(manifest.Config).toBe(`blobs/sha256/${result.images?.[0]?.configDigest.slice(7)}`)
    expect(manifest.RepoTags).toEqual(['my-app:1', 'localhost:5000/x/y:latest'])
    expect(manifest.Layers).toHaveLength(2)
  })

  test('oci-mediatypes=false gives Docker media types', async () => {
    const result = await exportTo({ type: 'docker', dest: 'app.tar', 'oci-mediatypes': 'false' })
    expect(result.descriptor?.mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json')
  })

  testWith(['skopeo'], 'skopeo reads it as a Docker archive', async () => {
    await exportTo({ type: 'docker', dest: 'app.tar' })
    await checkTool('skopeo', [
      'copy',
      '-q',
      `docker-archive:${directory.join('app.tar')}:my-app:1`,
      `dir:${directory.join('copied')}`,
    ])
  })
})
