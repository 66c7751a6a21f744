import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { startStandIn, temporaryDirectory, testWith } from '@ts-oci/testing'
import { build } from '../../api/build.ts'
import { serveRepositories } from './repositories.test.helper.ts'

testWith(['git'], 'a token for git goes to its host, along no redirect, and into no message', async () => {
  const token = 'hunter2hunter2'
  await using directory = await temporaryDirectory()
  const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text
  await using other = await startStandIn((request, response) => {
    const isGet = request.method === 'GET'
    response.writeHead(200, {
      'content-type': `application/x-git-upload-pack-${isGet ? 'advertisement' : 'result'}`,
    })
    const names = ['# service=git-upload-pack\n', '', 'version 2\n', 'ls-refs\n', 'fetch=shallow\n', '']
    response.end(isGet ? names.map((name) => (name === '' ? '0000' : line(name))).join('') : '0000')
  })
  await using first = await startStandIn((request, response) => {
    response.writeHead(302, { location: `http://${other.host}${request.url}` }).end()
  })
  const context = directory.join('context')
  mkdirSync(context)
  writeFileSync(`${context}/Dockerfile`, `FROM scratch\nADD http://${first.host}/r.git#main /\n`)
  const error: unknown = await build({
    context,
    store: directory.join('store'),
    secrets: [{ id: 'GIT_AUTH_TOKEN', value: token }],
  }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'OCI_SOURCE_FAILED', hint: expect.stringContaining('name its new address') })
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64')
  expect(first.seen.map(({ headers }) => headers.authorization)).toContain(`basic ${basic}`)
  expect(other.seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  const { message, stack } = error as Error
  const shown = `${message}${stack}${JSON.stringify(error)}`
  expect(shown).not.toContain(token)
  expect(shown).not.toContain(basic)
})

testWith(
  ['git'],
  'git:// with a user before its host is refused, who reads what is said of it learns no token',
  async () => {
    await using directory = await temporaryDirectory()
    const events: unknown[] = []
    const error: unknown = await build({
      context: 'git://hunter2hunter2@127.0.0.1:1/r.git',
      store: directory.join('store'),
      onProgress: (event) => events.push(event),
    }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: 'git:// knows no users: git://***@127.0.0.1:1/r.git',
    })
    expect(JSON.stringify([events, error, String(error)])).not.toContain('hunter2')
  },
)

testWith(['git'], 'a repository with another name on the same host is followed there with its token', async () => {
  const token = 'hunter2hunter2'
  const basic = `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  await using repositories = await serveRepositories()
  repositories.make('renamed', { 'a.txt': 'a' })
  repositories.git('renamed', 'update-server-info')
  let isAway = false
  await using other = await startStandIn((_request, response) => void response.writeHead(404).end())
  await using server = await startStandIn((request, response) => {
    const { pathname, search } = new URL(request.url ?? '', 'http://server')
    if (request.headers.authorization !== basic) return void response.writeHead(404).end()
    if (pathname.startsWith('/old.git/'))
      return void response
        .writeHead(301, { location: `${pathname.replace('/old.git', isAway ? '/away' : '/new.git')}${search}` })
        .end()
    if (pathname.startsWith('/away/'))
      return void response.writeHead(302, { location: `http://${other.host}${pathname}${search}` }).end()
    const file = join(repositories.directory, 'renamed/.git', pathname.replace('/new.git/', ''))
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return void response.writeHead(404).end()
    response.end(readFileSync(file))
  })
  await using directory = await temporaryDirectory()
  const buildOn = (fragment: string) => {
    const context = directory.join(`context-${fragment.replaceAll('/', '-')}`)
    mkdirSync(context)
    writeFileSync(`${context}/Dockerfile`, `FROM scratch\nADD http://${server.host}/old.git#${fragment} /\n`)
    const dest = directory.join(`out-${fragment.replaceAll('/', '-')}`)
    return build({
      context,
      store: directory.join('store'),
      secrets: [{ id: 'GIT_AUTH_TOKEN', value: token }],
      outputs: [{ type: 'local', dest }],
    }).then(() => readFileSync(`${dest}/a.txt`, 'utf8'))
  }
  expect(await buildOn('main')).toBe('a')
  // A commit is its own answer: the first request is the one that fetches it.
  const commit = repositories.commit('renamed', { 'a.txt': 'b' })
  repositories.git('renamed', 'update-server-info')
  expect(await buildOn(commit)).toBe('b')
  isAway = true
  repositories.commit('renamed', { 'a.txt': 'c' })
  await expect(buildOn('refs/heads/main')).rejects.toMatchObject({ hint: expect.stringContaining('another host') })
  expect(other.seen).toEqual([])
})
