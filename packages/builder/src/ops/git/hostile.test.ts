import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { checkoutEntries } from './entries.ts'
import { checkOut } from './fetch.ts'
import { serveRepositories, type Repositories } from './repositories.test.helper.ts'
import { resolveCommit } from './resolve.ts'
import { createGit } from './run-git.ts'
import { readGitSpec } from './spec.ts'

describeWith(['git'], 'a hostile repository', () => {
  let repositories: Repositories
  let library: string
  let work: TemporaryDirectory
  let log: string
  let made = 0

  beforeAll(async () => {
    repositories = await serveRepositories()
    library = repositories.make('library', { 'lib.txt': 'library' })
  })
  afterAll(async () => repositories[Symbol.asyncDispose]())
  beforeEach(async () => {
    work = await temporaryDirectory()
    log = ''
  })
  afterEach(async () => work[Symbol.asyncDispose]())

  async function checkedOut(name: string, fragment = '', attrs: Record<string, string> = {}): Promise<string[]> {
    const source = readGitSpec({
      kind: 'source',
      identifier: `git://127.0.0.1/${name}${fragment}`,
      attrs: { 'git.fullurl': `${repositories.url}/${name}`, ...attrs },
    })
    const git = createGit({
      config: [],
      sshCommand: `touch ${work.join('ssh-was-run')};false`,
      sshSocket: undefined,
      signal: undefined,
      onOutput: (text) => (log += Buffer.from(text).toString('utf8')),
    })
    const temporaryDirectory = work.join(`checkout-${++made}`)
    const workTree = join(temporaryDirectory, 'tree')
    mkdirSync(workTree, { recursive: true })
    mkdirSync(work.join('repository'), { recursive: true })
    const commit = await resolveCommit(git, source)
    await checkOut(git, source, commit, { repository: work.join('repository'), workTree, temporaryDirectory })
    return checkoutEntries(workTree, source, undefined).map((entry) => entry.path)
  }

  function withSubmodule(name: string, gitmodules: string): void {
    repositories.make(name, { 'a.txt': 'x' })
    repositories.commitSubmodule(name, gitmodules, 'vendor', library)
  }

  const section = (name: string, path: string, url: string, more = ''): string =>
    `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n${more}`

  const refusals: readonly (readonly [what: string, gitmodules: string])[] = [
    ['whose update is a command', section('v', 'vendor', '../library', '\tupdate = !touch /tmp/ts-oci-pwned\n')],
    ['whose name leads out', section('../../x', 'vendor', '../library')],
    ['whose name leads out by a backslash', section('..\\\\..\\\\x', 'vendor', '../library')],
    ['by another program', section('v', 'vendor', 'ext::sh -c "touch% /tmp/ts-oci-pwned"')],
    ['whose URL looks like an option', section('v', 'vendor', '-u./payload')],
    ['whose host looks like an option', section('v', 'vendor', 'ssh://-oProxyCommand=touch/x')],
    ['whose path looks like an option', section('v', '-vendor', '../library')],
    ['of a file of this machine', section('v', 'vendor', 'file:///etc')],
    ['of a path of this machine', section('v', 'vendor', '/etc')],
    ['whose path ends in a carriage return', section('v', '"vendor\\r"', '../library')],
    ['whose quoted path ends in a carriage return', `[submodule "v"]\n\tpath = "vendor\r"\n\turl = ../library\n`],
    ['whose URL holds a newline', section('v', 'vendor', '"https://a/\\nhost=b"')],
    ['whose path leads out', section('v', '../vendor', '../library')],
    ['whose path is absolute', section('v', '/tmp/vendor', '../library')],
    ['whose path is the repository', section('v', '.GIT/modules', '../library')],
  ]
  test.each(refusals)('with a submodule %s is refused', async (what, gitmodules) => {
    const name = `refused-${what.replaceAll(/\W/g, '-')}`
    withSubmodule(name, gitmodules)
    await expect(checkedOut(name)).rejects.toMatchObject({
      code: 'OCI_SOURCE_FAILED',
      message: expect.stringMatching(/^submodule .* is refused: |^git submodule failed: |^git config failed: /),
    })
    expect(existsSync('/tmp/ts-oci-pwned')).toBe(false)
    expect(existsSync(work.join('ssh-was-run'))).toBe(false)
  })

  test('whose submodule lies behind a link of its own is refused', async () => {
    const outside = work.join('outside')
    mkdirSync(outside)
    repositories.make('linked', {})
    symlinkSync(outside, join(repositories.directory, 'linked', 'link'))
    repositories.commit('linked', {})
    repositories.commitSubmodule('linked', section('v', 'link/vendor', '../library'), 'sub', library)
    await expect(checkedOut('linked')).rejects.toMatchObject({
      message: 'submodule "v" is refused: its path leads through a symbolic link',
    })
    expect(readdirSync(outside)).toEqual([])
  })

  test('whose submodule has a hostile submodule is refused', async () => {
    withSubmodule('inner', section('../x', 'vendor', '../library'))
    repositories.make('outer', {})
    repositories.commitSubmodule(
      'outer',
      section('inner', 'inner', '../inner'),
      'inner',
      repositories.git('inner', 'rev-parse', 'HEAD'),
    )
    await expect(checkedOut('outer')).rejects.toMatchObject({ message: expect.stringContaining('"../x" is refused') })
  })

  test('has its ordinary submodules checked out, and theirs', async () => {
    withSubmodule('middle', section('v', 'vendor', '../library'))
    repositories.make('whole', {})
    const head = repositories.git('middle', 'rev-parse', 'HEAD')
    repositories.commitSubmodule('whole', section('m', 'deep/middle', '../middle'), 'deep/middle', head)
    expect(await checkedOut('whole')).toEqual(
      expect.arrayContaining(['deep/middle/a.txt', 'deep/middle/vendor/lib.txt']),
    )
  })

  test('cannot choose the address of a submodule for another branch of it', async () => {
    withSubmodule('branches', section('v', 'vendor', '../library'))
    repositories.git('branches', 'checkout', '-q', '-b', 'evil')
    repositories.make('elsewhere', { 'lib.txt': 'elsewhere' })
    repositories.commitSubmodule(
      'branches',
      section('v', 'vendor', '../elsewhere'),
      'vendor',
      repositories.git('elsewhere', 'rev-parse', 'HEAD'),
    )
    await checkedOut('branches', '#evil')
    expect(await checkedOut('branches', '#main')).toContain('vendor/lib.txt')
    expect(readFileSync(work.join('repository', 'config'), 'utf8')).not.toContain('elsewhere')
  })

  test('has no filter, hook or monitor run: what its settings would name does not count', async () => {
    repositories.make('filters', {
      '.gitattributes': '* filter=evil\n*.bin filter=lfs\n',
      'a.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
      'hooks/post-checkout': '#!/bin/sh\ntouch /tmp/ts-oci-pwned\n',
    })
    await checkedOut('filters')
    const config = work.join('repository', 'config')
    const evil = `touch ${work.join('pwned')}`
    writeFileSync(
      config,
      `${readFileSync(config, 'utf8')}[core]\n\tfsmonitor = "${evil}"\n\thooksPath = ${work.join('hooks')}\n`,
    )
    mkdirSync(work.join('hooks'))
    writeFileSync(work.join('hooks', 'post-checkout'), `#!/bin/sh\n${evil}\n`, { mode: 0o755 })
    writeFileSync(work.join('hooks', 'reference-transaction'), `#!/bin/sh\n${evil}\n`, { mode: 0o755 })
    repositories.commit('filters', { 'b.txt': 'b' })
    expect(await checkedOut('filters', '', { 'git.keepgitdir': 'true' })).toContain('b.txt')
    expect(existsSync(work.join('pwned'))).toBe(false)
    expect(existsSync('/tmp/ts-oci-pwned')).toBe(false)
  })

  test.each(['--upload-pack=x', '-', '--'])('is not asked for a ref that is an option: %s', async (ref) => {
    await expect(checkedOut('library', `#${ref}`)).rejects.toMatchObject({
      message: expect.stringContaining('invalid'),
    })
  })

  test.each(['../../etc', '..', 'a/../../..', '/etc', '.git/..'])('keeps a subdirectory %s inside', async (path) => {
    const found = await checkedOut('library', `#main:${path}`).catch((error: Error) => error.message)
    expect(found).toEqual(
      path === '..' || path === 'a/../../..' || path === '.git/..'
        ? ['lib.txt']
        : expect.stringContaining('invalid subdir'),
    )
  })

  test('has no subdirectory behind a link', async () => {
    repositories.make('subdirectory-link', {})
    symlinkSync('/etc', join(repositories.directory, 'subdirectory-link', 'etc'))
    repositories.commit('subdirectory-link', {})
    for (const path of ['etc', 'etc/ssl'])
      await expect(checkedOut('subdirectory-link', `#main:${path}`)).rejects.toMatchObject({
        message: expect.stringContaining('invalid subdir'),
      })
  })

  test.each(['file:///etc', '/etc', 'ext::sh -c "touch /tmp/ts-oci-pwned"', 'fd::3', '../library'])(
    'is not reached by %s',
    async (remote) => {
      await expect(checkedOut('library', '', { 'git.fullurl': remote })).rejects.toMatchObject({
        code: 'OCI_SOURCE_FAILED',
        message: expect.stringMatching(/transport '\w+' not allowed/),
      })
      expect(existsSync('/tmp/ts-oci-pwned')).toBe(false)
    },
  )
})

describeWith(['git'], 'a git server', () => {
  test('that lists names without end is left', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      const line = `${'a'.repeat(40)} refs/heads/main\n`
      const packet = Buffer.from((line.length + 4).toString(16).padStart(4, '0') + line)
        .toString('latin1')
        .repeat(1000)
      socket.once('data', () => {
        const timer = setInterval(() => socket.writableNeedDrain || socket.write(packet), 1)
        socket.on('close', () => clearInterval(timer))
      })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const stop = AbortSignal.timeout(1500)
    const git = createGit({
      config: [],
      sshCommand: 'false',
      sshSocket: undefined,
      signal: stop,
      onOutput: () => undefined,
    })
    await expect(git.run(['ls-remote', '--', `git://127.0.0.1:${port}/x`])).rejects.toMatchObject({
      code: expect.stringMatching(/OCI_CANCELED|OCI_SOURCE_FAILED/),
    })
    server.close()
  })

  test('whose words hold a password in two pieces gets neither into the log', async () => {
    let log = ''
    const git = createGit({
      config: [['alias.two', '!printf "fatal: https://user:sec" >&2; sleep 0.2; printf "ret@host/x\\n" >&2; false']],
      sshCommand: 'false',
      sshSocket: undefined,
      signal: undefined,
      onOutput: (text) => (log += Buffer.from(text).toString('utf8')),
    })
    await expect(git.run(['two'])).rejects.toMatchObject({ code: 'OCI_SOURCE_FAILED' })
    expect(log).toBe('fatal: https://***@host/x\n')
  })
})
