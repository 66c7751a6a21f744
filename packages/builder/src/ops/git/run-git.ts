import { spawn } from 'node:child_process'
import { BuilderError, scrubCredentials } from '../../base/errors.ts'

/** How git is run: nothing of the user's or the system's configuration, no questions. */
export interface Git {
  /** Runs `git ARGS`; answers standard output. Throws OCI_SOURCE_FAILED with what git wrote on standard error. */
  run(args: readonly string[], place?: GitPlace): Promise<string>
  /** As `run`; false when git says no (exit status not 0): its words are nobody's business then. */
  succeeds(args: readonly string[], place?: GitPlace): Promise<boolean>
}

export interface GitPlace {
  /** Where git runs and finds a repository by itself; the other members say where one is. */
  readonly directory?: string
  readonly gitDirectory?: string
  readonly workTree?: string
  /** The index is of this checkout alone, not of the shared repository. */
  readonly indexFile?: string
}

export interface GitOptions {
  /** Configuration for this run, such as a header with a credential: by the environment, which others cannot read. */
  readonly config: readonly (readonly [string, string])[]
  /** `GIT_SSH_COMMAND`. */
  readonly sshCommand: string
  readonly sshSocket: string | undefined
  /** Asked once, when a server redirects and git may not follow: configuration with which it goes on, if there is any. */
  readonly whenMoved?: (() => Promise<readonly (readonly [string, string])[] | undefined>) | undefined
  /** Why no server may be asked at all; every run throws it. */
  readonly refusal?: BuilderError | undefined
  readonly signal: AbortSignal | undefined
  readonly onOutput: (text: Uint8Array) => void
}

/** What git prints is small, unless a server makes it large. */
const MAX_OUTPUT_BYTES = 64 << 20

/**
 * Nothing that a repository or a server says may become a command, a path of this machine or another way of transport.
 * Submodules inherit these.
 */
const CONFIG = [
  'protocol.allow=never',
  'protocol.https.allow=always',
  'protocol.http.allow=always',
  'protocol.ssh.allow=always',
  'protocol.git.allow=always',
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.attributesFile=/dev/null',
  'credential.helper=',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'gc.auto=0',
  'maintenance.auto=false',
  // A server that sends less than this for so long has stopped.
  'http.lowSpeedLimit=100',
  'http.lowSpeedTime=60',
].flatMap((setting) => ['-c', setting])

const PASSED_ON = [
  'PATH',
  'TMPDIR',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
]

const REDIRECTED = /returned error: 30[12378]/

export function createGit(options: GitOptions): Git {
  const environment = environmentOf(options, options.config)
  let moved: NodeJS.ProcessEnv | undefined
  let isMoveKnown = options.whenMoved === undefined

  async function run(args: readonly string[], place: GitPlace = {}): Promise<string> {
    const { status, output, errors } = await start(args, place)
    if (status === 0) return output
    // A server that knows no shallow clones gets asked for the whole history (BuildKit).
    const whole = args.filter((argument) => argument !== '--depth=1')
    if (whole.length < args.length && /--depth|shallow/.test(errors)) return run(whole, place)
    const message = scrubCredentials(errors.trim()).split('\n').slice(-5).join('; ')
    throw new BuilderError(
      'OCI_SOURCE_FAILED',
      `git ${commandOf(args)} failed: ${message === '' ? `exit status ${status}` : message}`,
      {
        hint: hintOf(errors),
        details: { status, stderr: scrubCredentials(errors.slice(-4000)) },
      },
    )
  }

  async function start(args: readonly string[], place: GitPlace, isQuiet = false): Promise<Ended> {
    const ended = await startOnce(args, place, isQuiet)
    if (ended.status === 0 || isMoveKnown || !REDIRECTED.test(ended.errors)) return ended
    isMoveKnown = true
    const settings = await options.whenMoved!()
    if (settings === undefined) return ended
    moved = environmentOf(options, [...options.config, ...settings])
    return startOnce(args, place, isQuiet)
  }

  function startOnce(args: readonly string[], place: GitPlace, isQuiet: boolean): Promise<Ended> {
    options.signal?.throwIfAborted()
    if (options.refusal !== undefined) throw options.refusal
    const where = [
      ...(place.workTree === undefined ? [] : [`--work-tree=${place.workTree}`]),
      ...(place.gitDirectory === undefined ? [] : [`--git-dir=${place.gitDirectory}`]),
    ]
    // Submodules are addresses of their own, even where one begins as that of the repository does.
    const variables = args[0] === 'submodule' ? environment : (moved ?? environment)
    const env = place.indexFile === undefined ? variables : { ...variables, GIT_INDEX_FILE: place.indexFile }
    const cwd = place.directory ?? place.workTree ?? place.gitDirectory ?? '/'
    return spawnGit([...where, ...args], {
      env,
      cwd,
      signal: options.signal,
      log: isQuiet ? undefined : options.onOutput,
    })
  }

  return { run, succeeds: async (args, place = {}) => (await start(args, place, true)).status === 0 }
}

interface Ended {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

interface SpawnOptions {
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  readonly signal: AbortSignal | undefined
  readonly log: GitOptions['onOutput'] | undefined
}

/** One process; `args` begin with git's own options. */
function spawnGit(args: readonly string[], { env, cwd, signal, log }: SpawnOptions): Promise<Ended> {
  // A group of its own, that helpers of git share.
  const child = spawn('git', [...CONFIG, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stop = (): void => killGroup(child.pid)
  signal?.addEventListener('abort', stop, { once: true })
  return new Promise((done, fail) => {
    const output: Buffer[] = []
    let outputBytes = 0
    let errors = ''
    const lines = createLineLog(log)
    child.stdout.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length
      if (outputBytes > MAX_OUTPUT_BYTES) stop()
      else output.push(chunk)
    })
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => {
      errors = (errors + text).slice(-20_000)
      lines.write(text)
    })
    const end = (): void => signal?.removeEventListener('abort', stop)
    child.on('error', (cause) => {
      end()
      fail(notStarted(cause))
    })
    child.on('close', (status) => {
      end()
      lines.end()
      if (signal?.aborted === true) fail(new BuilderError('OCI_CANCELED', 'git was canceled'))
      else if (outputBytes > MAX_OUTPUT_BYTES) fail(tooMuch(args))
      else done({ status, output: Buffer.concat(output).toString('utf8'), errors })
    })
  })
}

/** The word after the settings. */
function commandOf(args: readonly string[]): string {
  return args.find((argument, index) => !argument.startsWith('-') && args[index - 1] !== '-c') ?? ''
}

/** git starts helpers: as a group they are ended together. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Gone in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const MAX_LINE = 16 * 1024

/** Passes text on by whole lines: a password that comes in two pieces would not be recognised in either. */
function createLineLog(onOutput: ((text: Uint8Array) => void) | undefined): { write(text: string): void; end(): void } {
  let rest = ''
  const pass = (text: string): void => {
    if (text !== '') onOutput?.(Buffer.from(scrubCredentials(text)))
  }
  return {
    write(text) {
      rest += text
      const cut = Math.max(rest.lastIndexOf('\n'), rest.lastIndexOf('\r')) + 1
      if (cut === 0 && rest.length < MAX_LINE) return
      pass(cut === 0 ? rest : rest.slice(0, cut))
      rest = cut === 0 ? '' : rest.slice(cut)
    },
    end: () => pass(rest),
  }
}

function tooMuch(args: readonly string[]): BuilderError {
  return new BuilderError(
    'OCI_SOURCE_FAILED',
    `git ${commandOf(args)} answered with more than ${MAX_OUTPUT_BYTES >> 20} MiB`,
    {
      hint: 'no ordinary repository has so many names; is the server what it should be?',
    },
  )
}

function environmentOf(options: GitOptions, config: GitOptions['config']): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    HOME: '/dev/null',
    LC_ALL: 'C',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_SSH_COMMAND: options.sshCommand,
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_CONFIG_COUNT: String(config.length),
  }
  for (const name of PASSED_ON) if (process.env[name] !== undefined) environment[name] = process.env[name]
  if (options.sshSocket !== undefined) environment['SSH_AUTH_SOCK'] = options.sshSocket
  for (const [index, [key, value]] of config.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key
    environment[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return environment
}

function notStarted(cause: Error & { code?: string }): BuilderError {
  const isMissing = cause.code === 'ENOENT'
  return new BuilderError(
    'OCI_SOURCE_FAILED',
    isMissing
      ? 'sources from git need the program "git", which is not installed'
      : `git cannot be started: ${cause.message}`,
    {
      hint: isMissing ? 'install git (Debian, Ubuntu: apt-get install git)' : undefined,
      cause,
    },
  )
}

function hintOf(errors: string): string | undefined {
  if (/could not read Username|Authentication failed|terminal prompts disabled/.test(errors))
    return 'the repository wants a login, or does not exist: give a token with --secret id=GIT_AUTH_TOKEN,…'
  if (REDIRECTED.test(errors))
    return 'the repository has moved to another host, and a token goes along no redirect there: name its new address'
  if (/Permission denied \(publickey/.test(errors)) return 'give an agent with the key: --ssh default'
  if (/Host key verification failed/.test(errors)) return 'the host shows another key than the one that is expected'
  if (/Could not resolve host|unable to connect|Connection refused/.test(errors))
    return 'is the address right, and reachable from here?'
  return undefined
}
