import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { findSources } from './sources.ts'
import { MAX_BUILD_FILE_BYTES } from './build-file.ts'

const text = 'FROM scratch\n'
let directory: TemporaryDirectory
let count = 0
beforeAll(async () => {
  directory = await temporaryDirectory()
  writeFileSync(directory.join('secret'), 'word of the host\n')
})
afterAll(async () => {
  await directory?.[Symbol.asyncDispose]()
})

type Entry = string | { readonly link: string } | { readonly kind: 'directory' | 'fifo' }

/** A new context; answers its path. */
function context(entries: Readonly<Record<string, Entry>>): string {
  const root = directory.join(`context-${count++}`)
  mkdirSync(root)
  for (const [name, entry] of Object.entries(entries)) {
    const path = `${root}/${name}`
    mkdirSync(dirname(path), { recursive: true })
    if (typeof entry === 'string') writeFileSync(path, entry)
    else if ('link' in entry) symlinkSync(entry.link, path)
    else if (entry.kind === 'directory') mkdirSync(path)
    else spawnSync('mkfifo', [path])
  }
  return root
}

const notFound = { code: 'OCI_DOCKERFILE_NOT_FOUND', message: expect.stringContaining('open Dockerfile: no such file') }

// What BuildKit (Docker 28.5) answers for the same directories.
describe('a Dockerfile', () => {
  test.each(['../secret', '../../../../../../../../etc/passwd', '/etc/passwd', 'sub/../../secret', 'hop'])(
    'that is a link out of the context, %s, is not there, and nothing of what it names is shown',
    async (link) => {
      const root = context({ Dockerfile: { link }, 'sub/x': '', hop: { link: '../secret' } })
      const failed = findSources({ context: root })
      await expect(failed).rejects.toMatchObject(notFound)
      await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('host') })
    },
  )

  test.each(['sub/file', '/sub/file', '../../sub/file', 'hop'])(
    'that is a link inside the context, %s, is read',
    async (link) => {
      const root = context({ Dockerfile: { link }, 'sub/file': text, hop: { link: '/sub/file' } })
      expect((await findSources({ context: root })).dockerfile).toEqual({ name: 'Dockerfile', text })
    },
  )

  test('that -f names may lie anywhere, and its links stay in its own directory', async () => {
    const root = context({ x: '' })
    const other = context({
      'sub/file': text,
      'sub/out': { link: '../above' },
      above: text,
      'sub/in': { link: 'file' },
    })
    for (const name of ['file', 'in'])
      expect((await findSources({ context: root, file: `${other}/sub/${name}` })).dockerfile.text).toBe(text)
    await expect(findSources({ context: root, file: `${other}/sub/out` })).rejects.toMatchObject({
      code: 'OCI_DOCKERFILE_NOT_FOUND',
    })
  })

  test('that is a pipe, a socket, a device or a directory is refused and never waited for', async () => {
    const root = context({ fifo: { kind: 'fifo' }, directory: { kind: 'directory' }, 'link-to-fifo': { link: 'fifo' } })
    const server = createServer().listen(`${root}/socket`)
    await new Promise((resolve) => server.once('listening', resolve))
    for (const file of ['fifo', 'directory', 'link-to-fifo', 'socket']
      .map((name) => `${root}/${name}`)
      .concat('/dev/zero'))
      await expect(findSources({ context: root, file })).rejects.toMatchObject({
        code: 'OCI_DOCKERFILE_NOT_FOUND',
        message: expect.stringContaining('it is not a file'),
      })
    server.close()
  })

  test('whose links lead round in a circle is told', async () => {
    const root = context({ Dockerfile: { link: 'a' }, a: { link: 'Dockerfile' } })
    await expect(findSources({ context: root })).rejects.toMatchObject({ message: 'open Dockerfile: too many links' })
  })

  test('a Containerfile is named where there is no Dockerfile: podman and buildah find it by themselves', async () => {
    const root = context({ Containerfile: text })
    await expect(findSources({ context: root })).rejects.toMatchObject({
      code: 'OCI_DOCKERFILE_NOT_FOUND',
      hint: `there is a Containerfile: -f ${root}/Containerfile`,
    })
  })

  test('is looked for as dockerfile where there is none of the standard name, or one that cannot be read', async () => {
    const others: Readonly<Record<string, Entry>>[] = [
      {},
      { Dockerfile: { link: 'nowhere' } },
      { Dockerfile: { kind: 'directory' } },
    ]
    for (const more of others) {
      const root = context({ dockerfile: text, ...more })
      expect((await findSources({ context: root })).dockerfile).toEqual({ name: 'dockerfile', text })
      expect((await findSources({ context: root, file: `${root}/Dockerfile` })).dockerfile.text).toBe(text)
    }
    const both = context({ dockerfile: 'FROM lower\n', Dockerfile: text })
    expect((await findSources({ context: both })).dockerfile.text).toBe(text)
    const other = context({ containerfile: text })
    await expect(findSources({ context: other, file: `${other}/Containerfile` })).rejects.toMatchObject({
      code: 'OCI_DOCKERFILE_NOT_FOUND',
    })
  })

  test('that has no end is given up', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(Buffer.alloc(1 << 20, 0x23))
    }
    await expect(findSources({ context: context({}), file: '-', stdin: endless() })).rejects.toMatchObject({
      code: 'OCI_CONTEXT_INVALID',
      message: `the Dockerfile on standard input is larger than ${MAX_BUILD_FILE_BYTES} bytes`,
    })
    const large = context({ Dockerfile: '#'.repeat(MAX_BUILD_FILE_BYTES + 1) })
    await expect(findSources({ context: large })).rejects.toMatchObject({ code: 'OCI_CONTEXT_INVALID' })
  })
})

describe('an ignore file', () => {
  test('that is a pipe is refused, and never waited for', async () => {
    const root = context({ Dockerfile: text, '.dockerignore': { kind: 'fifo' } })
    await expect(findSources({ context: root })).rejects.toMatchObject({
      code: 'OCI_CONTEXT_INVALID',
      message: expect.stringContaining('.dockerignore'),
    })
  })

  test('that is a link out of the context, or a directory, is none', async () => {
    for (const entry of [{ link: '../secret' }, { link: '/etc/passwd' }, { kind: 'directory' }] as const) {
      const root = context({ Dockerfile: text, '.dockerignore': entry })
      expect((await findSources({ context: root })).ignorePatterns).toBeUndefined()
      expect(
        (await findSources({ context: root, buildContexts: { more: root } })).namedDirectories.get('more')
          ?.ignorePatterns,
      ).toEqual([])
    }
  })

  test('that is a link inside the context is read', async () => {
    const root = context({ Dockerfile: text, '.dockerignore': { link: '/sub/file' }, 'sub/file': 'x\n' })
    expect((await findSources({ context: root })).ignorePatterns).toEqual(['x'])
  })

  test('beside the Dockerfile, with its name, counts instead', async () => {
    const root = context({
      dockerfile: text,
      'dockerfile.dockerignore': 'own\n',
      'Dockerfile.dockerignore': 'other case\n',
      '.dockerignore': 'common\n',
      'sub/file': text,
      'sub/file.dockerignore': { link: 'ignored' },
      'sub/ignored': 'sub\n',
      'sub/directory': text,
      'sub/directory.dockerignore': { kind: 'directory' },
    })
    const patterns = async (file?: string): Promise<unknown> =>
      (await findSources({ context: root, ...(file === undefined ? {} : { file: `${root}/${file}` }) })).ignorePatterns
    expect(await patterns()).toEqual(['own'])
    expect(await patterns('sub/file')).toEqual(['sub'])
    expect(await patterns('sub/directory')).toEqual(['common'])
  })
})

test('a context that cannot be looked at is told with its path and why', async () => {
  const loop = `${context({ loop: { link: 'loop' } })}/loop`
  const why = 'too many levels of symbolic links'
  await expect(findSources({ context: loop })).rejects.toMatchObject({
    code: 'OCI_CONTEXT_NOT_FOUND',
    message: `unable to prepare context: path ${JSON.stringify(loop)} cannot be read: ${why}`,
  })
  const root = context({ Dockerfile: 'FROM scratch\n' })
  await expect(findSources({ context: root, buildContexts: { named: loop } })).rejects.toMatchObject({
    code: 'OCI_CONTEXT_NOT_FOUND',
    message: `failed to get build context named: stat ${loop}: ${why}`,
  })
})
