import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import type { LayerEntry } from '../../view/types.ts'
import { checkoutEntries } from './entries.ts'
import { checkOut, commitTime, withoutCredentials } from './fetch.ts'
import { untilListening } from './repositories.test.helper.ts'
import { resolveCommit } from './resolve.ts'
import { createGit, type Git } from './run-git.ts'
import { readGitSpec, type GitCheckout } from './spec.ts'

const COMMIT_TIME = 1_600_000_000

describeWith(['git'], 'a git server', () => {
  let served: TemporaryDirectory
  let daemon: ChildProcess
  let port: number
  let first: string
  let second: string
  let tagObject: string

  let work: TemporaryDirectory
  let git: Git

  /** git as a developer runs it, in a repository that the server serves. */
  function develop(repository: string, ...args: string[]): string {
    const date = `${COMMIT_TIME} +0000`
    const env = {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_DATE: date,
    }
    return execFileSync(
      'git',
      [
        '-c',
        'user.name=t',
        '-c',
        'user.email=t@t',
        '-c',
        'protocol.file.allow=always',
        '-C',
        served.join(repository),
        ...args,
      ],
      { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    ).trim()
  }

  function makeRepository(name: string): void {
    mkdirSync(served.join(name))
    develop(name, 'init', '-q', '-b', 'main')
  }

  function commit(name: string, files: Record<string, string>): string {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(served.join(name), path, '..'), { recursive: true })
      writeFileSync(served.join(name, path), content)
    }
    develop(name, 'add', '-A')
    develop(name, 'commit', '-q', '-m', 'change')
    return develop(name, 'rev-parse', 'HEAD')
  }

  beforeAll(async () => {
    served = await temporaryDirectory()
    port = await freePort()
    makeRepository('library')
    commit('library', { 'lib.txt': 'library' })
    makeRepository('project')
    first = commit('project', { 'a.txt': 'one', 'dir/sub/b.txt': 'b', 'run.sh': '#!/bin/sh\n' })
    develop('project', 'tag', '-a', '-m', 'annotated', 'v1')
    tagObject = develop('project', 'rev-parse', 'v1')
    develop('project', 'tag', 'light')
    develop('project', 'submodule', 'add', '-q', '../library', 'vendor')
    develop('project', 'config', '-f', '.gitmodules', 'submodule.vendor.url', '../library')
    chmodSync(served.join('project', 'run.sh'), 0o755)
    develop('project', 'branch', 'empty-ref', first)
    second = commit('project', { 'a.txt': 'two', 'dir/sub/b.txt': 'b' })
    execFileSync('ln', ['-s', 'a.txt', served.join('project', 'link')])
    second = commit('project', {})
    daemon = spawn(
      'git',
      ['daemon', `--port=${port}`, '--listen=127.0.0.1', `--base-path=${served.path}`, '--export-all', '--reuseaddr'],
      {
        stdio: 'ignore',
        env: {
          ...process.env,
          HOME: '/nonexistent',
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'safe.directory',
          GIT_CONFIG_VALUE_0: '*',
        },
      },
    )
    await untilListening(port)
  })

  afterAll(async () => {
    daemon.kill('SIGTERM')
    await served[Symbol.asyncDispose]()
  })

  beforeEach(async () => {
    work = await temporaryDirectory()
    git = createGit({
      config: [],
      sshCommand: 'false',
      sshSocket: undefined,
      signal: undefined,
      onOutput: () => undefined,
    })
  })

  afterEach(async () => {
    await work[Symbol.asyncDispose]()
  })

  function sourceOf(fragment: string, attrs: Record<string, string> = {}, repository = 'project'): GitCheckout {
    return readGitSpec({
      kind: 'source',
      identifier: `git://127.0.0.1/${repository}${fragment}`,
      attrs: { 'git.fullurl': `git://127.0.0.1:${port}/${repository}`, ...attrs },
    })
  }

  let checkouts = 0

  async function fetchSource(
    source: GitCheckout,
  ): Promise<{ readonly entries: readonly LayerEntry[]; readonly workTree: string }> {
    const temporary = work.join(`checkout-${++checkouts}`)
    const workTree = join(temporary, 'tree')
    mkdirSync(workTree, { recursive: true })
    mkdirSync(work.join('repository'), { recursive: true })
    const found = await resolveCommit(git, source)
    await checkOut(git, source, found, {
      repository: work.join('repository'),
      workTree,
      temporaryDirectory: temporary,
    })
    const timeSec = source.usesCommitTime ? await commitTime(git, found, work.join('repository')) : undefined
    return { entries: checkoutEntries(workTree, source, timeSec), workTree }
  }

  const paths = (entries: readonly LayerEntry[]): string[] => entries.map((entry) => entry.path)

  test('the default branch is checked out with its submodules, and nothing of git', async () => {
    const { entries, workTree } = await fetchSource(sourceOf(''))
    expect(paths(entries)).toEqual([
      '.gitmodules',
      'a.txt',
      'dir',
      'dir/sub',
      'dir/sub/b.txt',
      'link',
      'run.sh',
      'vendor',
      'vendor/lib.txt',
    ])
    expect(readFileSync(join(workTree, 'a.txt'), 'utf8')).toBe('two')
  })

  test('files have the modes that git knows and belong to root', async () => {
    const { entries } = await fetchSource(sourceOf('#main', { 'git.mtime': 'commit' }))
    const byPath = new Map(entries.map((entry) => [entry.path, entry]))
    expect(byPath.get('run.sh')).toMatchObject({ mode: 0o755, uid: 0, gid: 0, mtimeSec: COMMIT_TIME, mtimeNsec: 0 })
    expect(byPath.get('a.txt')).toMatchObject({ mode: 0o644, size: 3, content: { kind: 'context', path: 'a.txt' } })
    expect(byPath.get('dir')).toMatchObject({ mode: 0o755, mtimeSec: COMMIT_TIME })
    expect(byPath.get('link')).toMatchObject({ type: 'symlink', link: 'a.txt' })
  })

  test('submodules stay away when they are not wanted', async () => {
    const { entries } = await fetchSource(sourceOf('', { 'git.skipsubmodules': 'true' }))
    expect(paths(entries)).not.toContain('vendor/lib.txt')
  })

  test('a subdirectory becomes the root', async () => {
    const { entries } = await fetchSource(sourceOf('#main:dir/../dir'))
    expect(paths(entries)).toEqual(['sub', 'sub/b.txt'])
    await expect(fetchSource(sourceOf('#main:none'))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringContaining('invalid subdir'),
    })
    await expect(fetchSource(sourceOf('#main:link'))).rejects.toMatchObject({ code: 'OCI_SOURCE_FAILED' })
  })

  test.each([['v1'], ['refs/tags/v1'], ['light'], ['empty-ref']])('%s leads to the first commit', async (ref) => {
    const { workTree } = await fetchSource(sourceOf(`#${ref}`))
    expect(readFileSync(join(workTree, 'a.txt'), 'utf8')).toBe('one')
  })

  test('an annotated tag tells its commit, a branch goes before a tag of the same name', async () => {
    expect(await resolveCommit(git, sourceOf('#v1'))).toEqual({
      ref: 'refs/tags/v1',
      objectId: tagObject,
      commitId: first,
    })
    develop('project', 'tag', 'main', first)
    expect(await resolveCommit(git, sourceOf('#main'))).toMatchObject({ ref: 'refs/heads/main', objectId: second })
    develop('project', 'tag', '-d', 'main')
  })

  test('a tag that names a tree is checked out', async () => {
    develop('project', 'tag', '-a', '-m', 'tree', 'tree-only', `${first}^{tree}`)
    const { entries } = await fetchSource(sourceOf('#tree-only'))
    expect(paths(entries)).toContain('a.txt')
  })

  test('a commit id needs no server to be found, and is fetched', async () => {
    const source = sourceOf(`#${first}`)
    expect(await resolveCommit(git, { ...source, remote: 'git://127.0.0.1:1/none' })).toEqual({
      ref: first,
      objectId: first,
      commitId: first,
    })
    const { workTree } = await fetchSource(source)
    expect(readFileSync(join(workTree, 'a.txt'), 'utf8')).toBe('one')
  })

  test('a second checkout of a commit asks no server', async () => {
    await fetchSource(sourceOf(`#${second}`, { 'git.skipsubmodules': 'true' }))
    const { entries } = await fetchSource({
      ...sourceOf(`#${second}`, { 'git.skipsubmodules': 'true' }),
      remote: 'git://127.0.0.1:1/none',
    })
    expect(paths(entries)).toContain('a.txt')
  })

  test('the repository can be kept: one commit, the remote as it was named', async () => {
    const { entries, workTree } = await fetchSource(
      sourceOf('#main', { 'git.keepgitdir': 'true', 'git.skipsubmodules': 'true' }),
    )
    expect(paths(entries)).toContain('.git/HEAD')
    const inCheckout = (...args: string[]): string =>
      execFileSync('git', ['-c', 'safe.directory=*', '-C', workTree, ...args], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      }).trim()
    expect(inCheckout('rev-parse', 'HEAD')).toBe(second)
    expect(inCheckout('rev-list', '--count', 'HEAD')).toBe('1')
    expect(inCheckout('remote', 'get-url', 'origin')).toBe(`git://127.0.0.1:${port}/project`)
    expect(inCheckout('status', '--porcelain')).toBe('')
    expect(inCheckout('rev-parse', 'refs/heads/main')).toBe(second)
    expect(readdirSync(join(workTree, '.git'))).not.toContain('FETCH_HEAD')
  })

  test('a checksum is the beginning of the commit, or of the annotated tag', async () => {
    for (const [ref, checksum] of [
      ['main', second.slice(0, 10)],
      ['v1', first],
      ['v1', tagObject],
      [first, first.slice(0, 7)],
    ]) {
      await expect(
        fetchSource(sourceOf(`#${ref}`, { 'git.checksum': checksum!, 'git.skipsubmodules': 'true' })),
      ).resolves.toBeDefined()
    }
    await expect(fetchSource(sourceOf('#main', { 'git.checksum': first }))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: `expected checksum to match ${first}, got ${second}`,
    })
    expect(() => sourceOf('#main', { 'git.checksum': 'nothex' })).toThrow('expected hex commit hash')
  })

  test('fetching by commit takes the commit of the checksum, whatever the branch says', async () => {
    const { workTree } = await fetchSource(
      sourceOf('#main', { 'git.fetchbycommit': 'true', 'git.checksum': first, 'git.skipsubmodules': 'true' }),
    )
    expect(readFileSync(join(workTree, 'a.txt'), 'utf8')).toBe('one')
    await expect(fetchSource(sourceOf('#main', { 'git.fetchbycommit': 'true' }))).rejects.toMatchObject({
      message: 'fetch-by-commit requires a checksum or a commit SHA ref',
    })
  })

  test('a ref, a commit or a repository that is missing is told', async () => {
    await expect(fetchSource(sourceOf('#none'))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: 'repository does not contain ref none',
    })
    await expect(fetchSource(sourceOf(`#${'1'.repeat(40)}`))).rejects.toMatchObject({ code: 'OCI_SOURCE_FAILED' })
    await expect(fetchSource(sourceOf('', { 'git.fullurl': `git://127.0.0.1:${port}/none` }))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringContaining('ls-remote'),
    })
    await expect(fetchSource(sourceOf('', { 'git.fullurl': 'git://127.0.0.1:1/none' }))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
    })
  })

  test('what looks like an option is refused before git sees it', () => {
    expect(() => sourceOf('#--upload-pack=touch /tmp/x')).toThrow('invalid git ref')
    expect(() => sourceOf('', { 'git.fullurl': '--upload-pack=x' })).toThrow('invalid git remote')
  })

  test('a submodule that names a path of this machine is refused', async () => {
    makeRepository('hostile')
    develop('hostile', 'submodule', 'add', '-q', served.join('library'), 'vendor')
    commit('hostile', { 'a.txt': 'x' })
    await expect(fetchSource(sourceOf('', {}, 'hostile'))).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringMatching(/transport 'file' not allowed/),
    })
  })

  test('git is ended with the build', async () => {
    const silent = createServer((socket) => void socket.resume())
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
    const abort = new AbortController()
    const stoppable = createGit({
      config: [],
      sshCommand: 'false',
      sshSocket: undefined,
      signal: abort.signal,
      onOutput: () => undefined,
    })
    const waiting = resolveCommit(stoppable, {
      ...sourceOf('#main'),
      remote: `git://127.0.0.1:${(silent.address() as AddressInfo).port}/x`,
    })
    setTimeout(() => abort.abort(), 100)
    await expect(waiting).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    await new Promise((done) => silent.close(done))
  })
})

test('git that is not installed is told with the remedy', async () => {
  const path = process.env['PATH']
  process.env['PATH'] = '/nonexistent'
  try {
    const git = createGit({
      config: [],
      sshCommand: 'false',
      sshSocket: undefined,
      signal: undefined,
      onOutput: () => undefined,
    })
    await expect(git.run(['version'])).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      hint: expect.stringContaining('install git'),
    })
  } finally {
    process.env['PATH'] = path
  }
})

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => done(port))
    })
  })
}

// As BuildKit masks them; what of ssh names a user stays, or the address would be of no use.
test.each([
  ['https://user:pass@host/r.git', 'https://xxxxx:xxxxx@host/r.git'],
  ['https://user:p@ss:w@host:8/r.git', 'https://xxxxx:xxxxx@host:8/r.git'],
  ['https://token@host/r.git', 'https://xxxxx@host/r.git'],
  ['git://token@host/r.git', 'git://xxxxx@host/r.git'],
  ['https://:pass@host/r.git', 'https://:xxxxx@host/r.git'],
  ['https://host:8/r@x.git', 'https://host:8/r@x.git'],
  ['ssh://git@host/r.git', 'ssh://git@host/r.git'],
  ['git@host:r.git', 'git@host:r.git'],
])('the remote %s is kept as %s', (remote, kept) => {
  expect(withoutCredentials(remote)).toBe(kept)
})
