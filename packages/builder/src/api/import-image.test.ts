import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { checkTool, startStandIn, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { archiveOf, digestOf, layerOf } from './archives.test.helper.ts'
import { exportFiles } from './export-files.ts'
import { images } from './images.ts'
import { importImage, type ImportOptions } from './import-image.ts'
import { save } from './save.ts'

let directory: TemporaryDirectory
let store: string
const tar = layerOf('etc/x', 'hi')

beforeEach(async () => {
  directory = await temporaryDirectory()
  store = directory.join('store')
  writeFileSync(directory.join('r.tar'), tar)
})
afterEach(async () => directory[Symbol.asyncDispose]())

/** The bytes of the config, as another tool finds them. */
async function configOf(options: ImportOptions, source = directory.join('r.tar')): Promise<string> {
  const { id } = await importImage(source, { store, ...options })
  await save([id], { store, output: directory.join('saved'), format: 'oci-dir' })
  return readFileSync(directory.join('saved/blobs/sha256', id.slice(7)), 'utf8')
}

const epoch = { sourceDateEpoch: 1_700_000_000, platform: 'linux/amd64' }

describe('the config of an imported image', () => {
  // As dockerd 28.5 with the containerd image store writes it; the fraction of its seconds apart.
  test('is byte for byte that of docker import', async () => {
    const changes = [
      'CMD ["sh"]',
      'ENV A=1 B="x y"',
      'EXPOSE 80',
      'ENTRYPOINT foo bar',
      'WORKDIR /a',
      'VOLUME /v',
      'USER u',
      'LABEL a=b',
      'ONBUILD RUN x',
      'STOPSIGNAL 9',
      'HEALTHCHECK --interval=5s CMD true',
    ]
    expect(await configOf({ ...epoch, changes })).toBe(
      `{"created":"2023-11-14T22:13:20Z","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["${digestOf(tar)}"]},"history":[{"created":"2023-11-14T22:13:20Z","comment":"Imported from -"}],"config":{"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1","B=x y"],"Entrypoint":["/bin/sh","-c","foo bar"],"Cmd":["sh"],"Volumes":{"/v":{}},"WorkingDir":"/a","Labels":{"a":"b"},"StopSignal":"9","Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5000000000},"OnBuild":["RUN x"]}}`,
    )
  })

  test('names the variant of a platform, and the message', async () => {
    expect(await configOf({ ...epoch, platform: 'linux/arm/v6', message: 'hello' })).toBe(
      `{"created":"2023-11-14T22:13:20Z","architecture":"arm","os":"linux","variant":"v6","rootfs":{"type":"layers","diff_ids":["${digestOf(tar)}"]},"history":[{"created":"2023-11-14T22:13:20Z","comment":"hello"}],"config":{}}`,
    )
  })

  test('has the search path only where a change sets one', async () => {
    const changes = ['ENV A=1 PATH=/bin', 'ENV A=2 B=$A']
    const config = JSON.parse(await configOf({ ...epoch, changes })) as object
    expect(config).toMatchObject({ config: { Env: ['A=2', 'PATH=/bin', 'B=1'] } })
  })
})

test.each([
  ['RUN x', 'RUN is not a valid change command'],
  ['MAINTAINER x', 'MAINTAINER is not a valid change command'],
  ['SHELL ["a"]', 'SHELL is not a valid change command'],
  ['FROM scratch', 'FROM is not a valid change command'],
  ['COPY a b', 'COPY is not a valid change command'],
])('the change %s is refused in the words of Docker', async (change, message) => {
  await expect(importImage(directory.join('r.tar'), { store, changes: [change] })).rejects.toMatchObject({
    code: 'OCI_DOCKERFILE_INVALID',
    message,
  })
})

describe('the files of an imported image', () => {
  async function listed(image: string): Promise<string> {
    await exportFiles(image, { store, output: directory.join('out.tar') })
    return checkTool('tar', ['-xOf', directory.join('out.tar'), 'etc/x'])
  }

  test('are those of the tar, compressed or not', async () => {
    writeFileSync(directory.join('r.tar.gz'), gzipSync(tar))
    const plain = await importImage(directory.join('r.tar'), { store, name: 'plain', ...epoch })
    const packed = await importImage(directory.join('r.tar.gz'), { store, name: 'packed', ...epoch })
    expect(packed).toEqual(plain)
    expect(await listed('packed')).toBe('hi')
  })

  test('may come through a pipe, without a name', async () => {
    const stdin = (async function* () {
      yield tar
    })()
    const { id } = await importImage('-', { store, stdin })
    expect(await images({ store })).toMatchObject([{ repository: '<none>', id }])
    expect(await listed(id)).toBe('hi')
  })

  test('may come from the web, which its history says', async () => {
    await using server = await startStandIn((request, response) => {
      response.statusCode = request.url === '/r.tar' ? 200 : 404
      response.end(request.url === '/r.tar' ? tar : '')
    })
    const config = await configOf(epoch, `http://${server.host}/r.tar`)
    expect(JSON.parse(config)).toMatchObject({ history: [{ comment: `Imported from http://${server.host}/r.tar` }] })
    await expect(importImage(`http://${server.host}/other`, { store })).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
    })
  })

  test.each([
    ['nothing', Buffer.alloc(0), 'OCI_ARCHIVE_INVALID'],
    ['text', Buffer.from('no tar '.repeat(200)), 'OCI_LAYER_INVALID'],
    ['an archive that is compressed twice', gzipSync(gzipSync(tar)), 'OCI_LAYER_INVALID'],
    ['a tar that 80 MB follow', gzipSync(Buffer.concat([tar, Buffer.alloc(80 << 20)])), 'OCI_ARCHIVE_INVALID'],
    ['half of a tar', archiveOf([{ name: 'a', size: 5000, data: 'x' }]).subarray(0, 1024), 'OCI_LAYER_INVALID'],
  ])('are not those of %s, and nothing is left of it', async (_, bytes, code) => {
    writeFileSync(directory.join('bad'), bytes)
    await expect(importImage(directory.join('bad'), { store, name: 'bad' })).rejects.toMatchObject({ code })
    expect(await images({ store })).toEqual([])
    expect(readdirSync(directory.join('store/blobs/sha256'))).toEqual([])
    expect(readdirSync(directory.join('store/tmp'))).toEqual([])
  })

  test('that are not there are named', async () => {
    await expect(importImage(directory.join('none'), { store })).rejects.toThrow(
      /^open .*none: no such file or directory$/,
    )
  })
})
