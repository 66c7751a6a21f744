import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { temporaryDirectory } from '@ts-oci/testing'

/** Repositories of a test, made as a developer makes them, and served. */
export interface Repositories extends AsyncDisposable {
  /** Where they lie: one directory each. */
  readonly directory: string
  /** `git://127.0.0.1:PORT`. */
  readonly url: string
  git(repository: string, ...args: string[]): string
  /** Makes a repository with the branch main and these files. Returns the commit. */
  make(name: string, files: Record<string, string>): string
  commit(name: string, files: Record<string, string>): string
  /** Commits a submodule that no `git submodule add` would make. */
  commitSubmodule(name: string, gitmodules: string, path: string, commit: string): string
}

const ENVIRONMENT = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_DATE: '1600000000 +0000',
  GIT_COMMITTER_DATE: '1600000000 +0000',
}
const AUTHOR = ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'protocol.file.allow=always']

export async function serveRepositories(): Promise<Repositories> {
  const served = await temporaryDirectory()
  const port = await freePort()
  const git = (repository: string, ...args: string[]): string =>
    execFileSync('git', [...AUTHOR, '-C', served.join(repository), ...args], {
      env: ENVIRONMENT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  const commit = (name: string, files: Record<string, string>): string => {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(served.join(name), path)), { recursive: true })
      writeFileSync(served.join(name, path), content)
    }
    git(name, 'add', '-A')
    git(name, 'commit', '-q', '--allow-empty', '-m', 'change')
    return git(name, 'rev-parse', 'HEAD')
  }
  const daemon = spawn(
    'git',
    ['daemon', `--port=${port}`, '--listen=127.0.0.1', `--base-path=${served.path}`, '--export-all', '--reuseaddr'],
    {
      stdio: 'ignore',
      env: { ...ENVIRONMENT, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    },
  )
  await untilListening(port)
  return {
    directory: served.path,
    url: `git://127.0.0.1:${port}`,
    git,
    commit,
    make(name, files) {
      mkdirSync(served.join(name))
      git(name, 'init', '-q', '-b', 'main')
      return commit(name, files)
    },
    commitSubmodule(name, gitmodules, path, target) {
      writeFileSync(served.join(name, '.gitmodules'), gitmodules)
      git(name, 'add', '.gitmodules')
      git(name, 'update-index', '--add', '--cacheinfo', `160000,${target},${path}`)
      git(name, 'commit', '-q', '-m', 'submodule')
      return git(name, 'rev-parse', 'HEAD')
    },
    [Symbol.asyncDispose]: async () => {
      daemon.kill('SIGTERM')
      await served[Symbol.asyncDispose]()
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => done(port))
    })
  })
}

export async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => done(true)).on('error', () => done(false))
      socket.on('connect', () => socket.destroy())
    })
    if (isOpen) return
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error(`nothing listens on port ${port}`)
}
