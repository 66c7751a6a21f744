import { spawn } from 'node:child_process'
import { BuilderError, scrubCredentials } from '../../errors.ts'

/** How git is run: nothing of the user's or the system's configuration, no questions. */
export interface Git {
  /** Runs `git ARGS`; answers standard output. Throws OCI_SOURCE_FAILED with what git wrote on standard error. */
  run(args: readonly string[], place?: GitPlace): Promise<string>
  /** As `run`; false when git says no (exit status not 0): its words are nobody's business then. */
  succeeds(args: readonly string[], place?: GitPlace): Promise<boolean>
}

export interface GitPlace {
  readonly gitDirectory?: string
  readonly workTree?: string
  /** The index is of this checkout alone, not of the shared repository. */
  readonly indexFile?: string
}

export interface GitOptions {
  /** Configuration for this run, such as a header with a credential: by the environment, which others cannot read. */
  readonly config: readonly (readonly [string, string])[]
  readonly sshSocket: string | undefined
  readonly knownHostsFile: string | undefined
  readonly signal: AbortSignal | undefined
  readonly onOutput: (text: Uint8Array) => void
}

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

export function createGit(options: GitOptions): Git {
  const environment = environmentOf(options)

  async function run(args: readonly string[], place: GitPlace = {}): Promise<string> {
    const { status, output, errors } = await start(args, place)
    if (status === 0) return output
    // A server that knows no shallow clones gets asked for the whole history (BuildKit).
    const whole = args.filter((argument) => argument !== '--depth=1')
    if (whole.length < args.length && /--depth|shallow/.test(errors)) return run(whole, place)
    const message = scrubCredentials(errors.trim()).split('\n').slice(-5).join('; ')
    throw new BuilderError(
      'OCI_SOURCE_FAILED',
      `git ${args.find((argument) => !argument.startsWith('-'))} failed: ${message === '' ? `exit status ${status}` : message}`,
      {
        hint: hintOf(errors),
        details: { status, stderr: scrubCredentials(errors.slice(-4000)) },
      },
    )
  }

  function start(
    args: readonly string[],
    place: GitPlace,
    isQuiet = false,
  ): Promise<{ readonly status: number | null; readonly output: string; readonly errors: string }> {
    options.signal?.throwIfAborted()
    const where = [
      ...(place.workTree === undefined ? [] : [`--work-tree=${place.workTree}`]),
      ...(place.gitDirectory === undefined ? [] : [`--git-dir=${place.gitDirectory}`]),
    ]
    // `user`: a repository cannot name a path of this machine as its submodule.
    const child = spawn('git', ['-c', 'protocol.file.allow=user', ...where, ...args], {
      cwd: place.workTree ?? place.gitDirectory ?? '/',
      env: place.indexFile === undefined ? environment : { ...environment, GIT_INDEX_FILE: place.indexFile },
      stdio: ['ignore', 'pipe', 'pipe'],
      // git starts helpers: as a group they can be ended together.
      detached: true,
    })
    const stop = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }
    options.signal?.addEventListener('abort', stop, { once: true })
    return new Promise((done, fail) => {
      const output: Buffer[] = []
      let errors = ''
      child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
      child.stderr.on('data', (chunk: Buffer) => {
        errors = (errors + chunk.toString('utf8')).slice(-20_000)
        if (!isQuiet) options.onOutput(Buffer.from(scrubCredentials(chunk.toString('utf8'))))
      })
      child.on('error', (cause) => fail(notStarted(cause)))
      child.on('close', (status) => {
        options.signal?.removeEventListener('abort', stop)
        if (options.signal?.aborted === true) fail(new BuilderError('OCI_CANCELED', 'git was canceled'))
        else done({ status, output: Buffer.concat(output).toString('utf8'), errors })
      })
    })
  }

  return { run, succeeds: async (args, place = {}) => (await start(args, place, true)).status === 0 }
}

function environmentOf(options: GitOptions): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    HOME: '/dev/null',
    LC_ALL: 'C',
    GIT_SSH_COMMAND: `ssh -F /dev/null -o BatchMode=yes ${options.knownHostsFile === undefined ? '-o StrictHostKeyChecking=accept-new' : `-o UserKnownHostsFile=${options.knownHostsFile}`}`,
    GIT_CONFIG_COUNT: String(options.config.length),
  }
  for (const name of PASSED_ON) if (process.env[name] !== undefined) environment[name] = process.env[name]
  if (options.sshSocket !== undefined) environment['SSH_AUTH_SOCK'] = options.sshSocket
  for (const [index, [key, value]] of options.config.entries()) {
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
  if (/Permission denied \(publickey/.test(errors)) return 'give an agent with the key: --ssh default'
  if (/Could not resolve host|unable to connect|Connection refused/.test(errors))
    return 'is the address right, and reachable from here?'
  return undefined
}
