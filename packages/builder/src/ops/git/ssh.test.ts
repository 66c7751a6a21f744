import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { describeWith, findTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from '../../api/build.ts'
import { createGit } from './run-git.ts'
import { freePort, serveRepositories, untilListening, type Repositories } from './repositories.test.helper.ts'
import { sshCommand } from './ssh-command.ts'

describeWith(['git', 'ssh', 'sshd', 'ssh-agent', 'ssh-add', 'ssh-keygen'], 'a repository behind ssh', () => {
  let work: TemporaryDirectory
  let repositories: Repositories
  let server: ChildProcess
  let agent: ChildProcess
  let port: number
  let remote: string
  let outside: string | undefined

  beforeAll(async () => {
    work = await temporaryDirectory()
    repositories = await serveRepositories()
    repositories.make('project', { 'a.txt': 'by ssh' })
    port = await freePort()
    for (const name of ['host', 'key', 'other'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', work.join(name)])
    const settings = ['AuthorizedKeysFile', work.join('key.pub'), 'HostKey', work.join('host'), 'Port', String(port)]
    writeFileSync(
      work.join('sshd_config'),
      `${settings.join(' ').replaceAll(/ (HostKey|Port) /g, '\n$1 ')}\nListenAddress 127.0.0.1\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n`,
    )
    // sshd as root wants it, and Debian makes it when the service starts.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    server = spawn(findTool('sshd')!, ['-D', '-e', '-f', work.join('sshd_config')], { stdio: 'ignore' })
    agent = spawn('ssh-agent', ['-D', '-a', work.join('agent')], { stdio: 'ignore' })
    await untilListening(port)
    for (let attempt = 0; attempt < 100 && !existsSync(work.join('agent')); attempt++)
      await new Promise((done) => setTimeout(done, 20))
    execFileSync('ssh-add', ['-q', work.join('key')], {
      env: { ...process.env, SSH_AUTH_SOCK: work.join('agent') },
      stdio: 'ignore',
    })
    remote = `ssh://${userInfo().username}@127.0.0.1:${port}${repositories.directory}/project`
    outside = process.env['SSH_AUTH_SOCK']
    // The agent of the caller, which he did not lend.
    process.env['SSH_AUTH_SOCK'] = work.join('agent')
  })
  afterAll(async () => {
    if (outside === undefined) delete process.env['SSH_AUTH_SOCK']
    else process.env['SSH_AUTH_SOCK'] = outside
    server.kill('SIGTERM')
    agent.kill('SIGTERM')
    await repositories[Symbol.asyncDispose]()
    await work[Symbol.asyncDispose]()
  })
  beforeEach(() => writeFileSync(work.join('known_hosts'), ''))

  const names = (socket: string | undefined, isKnown = false): Promise<string> =>
    createGit({
      config: [],
      sshCommand: sshCommand({ socket, knownHostsFile: work.join('known_hosts'), isKnown }),
      sshSocket: socket,
      signal: undefined,
      onOutput: () => undefined,
    }).run(['ls-remote', '--', remote])

  test('is read with the agent that was lent', async () => {
    expect(await names(work.join('agent'))).toContain('refs/heads/main')
    expect(readFileSync(work.join('known_hosts'), 'utf8')).toContain('ssh-ed25519')
  })

  test('is not read with the agent of the environment', async () => {
    await expect(names(undefined)).rejects.toMatchObject({
      message: expect.stringContaining('Permission denied'),
      hint: expect.stringContaining('--ssh default'),
    })
  })

  test('is not read when its host shows another key than the known one', async () => {
    const key = readFileSync(work.join('other.pub'), 'utf8').split(' ').slice(0, 2).join(' ')
    writeFileSync(work.join('known_hosts'), `[127.0.0.1]:${port} ${key}\n`)
    await expect(names(work.join('agent'), true)).rejects.toMatchObject({
      message: expect.stringContaining('Host key verification failed'),
    })
    writeFileSync(work.join('known_hosts'), '')
    await expect(names(work.join('agent'), true)).rejects.toMatchObject({
      message: expect.stringContaining('Host key verification failed'),
    })
  })

  test('is asked with no key, host or setting of the caller', () => {
    for (const socket of [undefined, work.join('agent')]) {
      const knownHostsFile = work.join('known hosts 100%')
      const command = sshCommand({ socket, knownHostsFile, isKnown: false })
      const settings = execFileSync('sh', ['-c', `${command} -G example.org`], { encoding: 'utf8' })
      const of = (name: string): string | undefined => new RegExp(`^${name} (.*)$`, 'm').exec(settings)?.[1]
      expect(settings.includes(`${homedir()}/.ssh`) || settings.includes('~/.ssh')).toBe(false)
      expect(of('identityfile')).toBe('none')
      expect(of('identityagent')).toBe(socket === undefined ? 'none' : undefined)
      expect(of('userknownhostsfile')).toContain('known hosts 100')
      expect(of('globalknownhostsfile')).toBe('/dev/null')
      expect(of('batchmode')).toBe('yes')
    }
  })

  test('is read into a store whose path has blanks', async () => {
    mkdirSync(work.join('a b'))
    const knownHostsFile = work.join('a b/known_hosts')
    const git = createGit({
      config: [],
      sshCommand: sshCommand({ socket: work.join('agent'), knownHostsFile, isKnown: false }),
      sshSocket: work.join('agent'),
      signal: undefined,
      onOutput: () => undefined,
    })
    await git.run(['ls-remote', '--', remote])
    expect(readFileSync(knownHostsFile, 'utf8')).toContain('ssh-ed25519')
  })

  test('is read with a key file that was lent, wherever the store lies', async () => {
    const context = work.join('context-key')
    mkdirSync(context)
    writeFileSync(`${context}/Dockerfile`, `FROM scratch\nADD ${remote} /\n`)
    const store = work.join('d'.repeat(150))
    const common = { context, store, outputs: [{ type: 'cacheonly' as const }] }
    await expect(build({ ...common, ssh: [{ id: 'default', paths: [work.join('other')] }] })).rejects.toMatchObject({
      message: expect.stringContaining('Permission denied'),
    })
    const paths = [work.join('other'), work.join('key')]
    await expect(build({ ...common, ssh: [{ id: 'default', paths }] })).resolves.toMatchObject({
      outputs: [{ type: 'cacheonly' }],
    })
  })

  describeBuilds()

  function describeBuilds(): void {
    const context = (line: string): string => {
      const directory = work.join(`context-${line.length}`)
      mkdirSync(directory, { recursive: true })
      writeFileSync(`${directory}/Dockerfile`, `FROM scratch\n${line}\n`)
      return directory
    }

    test.each([
      ['ADD of a URL', (url: string) => ({ context: context(`ADD ${url} /`) })],
      ['a context', (url: string) => ({ context: url })],
      [
        'a named context',
        (url: string) => ({ context: context('COPY --from=repo . /'), buildContexts: { repo: url } }),
      ],
    ])('in %s needs --ssh, and is read with it', async (_what, options) => {
      const url = remote.replace(/project$/, `project?submodules=false`)
      const common = { ...options(url), store: work.join('store'), outputs: [{ type: 'cacheonly' as const }] }
      await expect(build(common)).rejects.toMatchObject({
        code: 'OCI_SOURCE_FAILED',
        message: expect.stringContaining('no SSH key "default" forwarded from the client'),
        hint: expect.stringContaining('--ssh default'),
      })
      const lent = build({ ...common, ssh: [{ id: 'default', paths: [work.join('agent')] }] })
      if (_what === 'a context') await expect(lent).rejects.toMatchObject({ code: 'OCI_DOCKERFILE_NOT_FOUND' })
      else await expect(lent).resolves.toMatchObject({ outputs: [{ type: 'cacheonly' }] })
    })
  }
})
