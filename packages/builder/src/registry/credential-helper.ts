import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { BuilderError } from '../base/errors.ts'
import type { Credential } from './options.ts'

const EXIT_GRACE_MS = 500
const MAX_OUTPUT = 1024 * 1024
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** The user name by which a helper says that its secret is an identity token. */
const TOKEN_USER = '<token>'
/** The protocol's own words for "I know none" (docker-credential-helpers), printed on standard output. */
const NOT_FOUND = /credentials not found/i

export interface HelperOptions {
  /** Its `PATH` is searched; the helper gets all of it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal | undefined
  /** A helper that has not answered by then is ended. */
  readonly timeoutMs: number
}

/**
 * Has `docker-credential-<name> store` keep a credential, which goes to its standard input alone.
 * @throws OCI_CREDENTIALS
 */
export async function storeWithHelper(
  name: string,
  server: string,
  credential: Credential,
  options: HelperOptions,
): Promise<void> {
  const [Username, Secret] =
    credential.kind === 'password' ? [credential.username, credential.password] : [TOKEN_USER, credential.token]
  const { status } = await run(name, 'store', JSON.stringify({ ServerURL: server, Username, Secret }), options)
  if (status !== 0) throw failure(name, `does not store a login: it ended with status ${status}`)
}

/** Has `docker-credential-<name> erase` forget a server; one that it does not know is no error. @throws OCI_CREDENTIALS */
export async function eraseWithHelper(name: string, server: string, options: HelperOptions): Promise<void> {
  const { status, output } = await run(name, 'erase', server, options)
  if (status !== 0 && !NOT_FOUND.test(output))
    throw failure(name, `does not erase a login: it ended with status ${status}`)
}

/** The servers that `docker-credential-<name> list` knows. @throws OCI_CREDENTIALS */
export async function listOfHelper(name: string, options: HelperOptions): Promise<readonly string[]> {
  const { status, output } = await run(name, 'list', '', options)
  if (status !== 0) throw failure(name, `does not list its logins: it ended with status ${status}`)
  try {
    const answer: unknown = JSON.parse(output)
    return typeof answer === 'object' && answer !== null ? Object.keys(answer) : []
  } catch {
    throw failure(name, 'did not answer with JSON')
  }
}

/**
 * Asks `docker-credential-<name> get` for a server; undefined when it knows none.
 * @throws OCI_CREDENTIALS when the helper is missing, fails or answers nonsense. Nothing that it prints is quoted.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  options: HelperOptions,
): Promise<Credential | undefined> {
  const { status, output } = await run(name, 'get', server, options)
  if (status !== 0 && NOT_FOUND.test(output)) return undefined
  if (status !== 0) throw failure(name, `ended with status ${status}`)
  return parseAnswer(name, output)
}

function parseAnswer(name: string, output: string): Credential | undefined {
  let answer: { Username?: unknown; Secret?: unknown }
  try {
    answer = JSON.parse(output) as typeof answer
  } catch {
    throw failure(name, 'did not answer with JSON')
  }
  const { Username: username, Secret: secret } = answer ?? {}
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw failure(name, 'answered without Username and Secret')
  if (username === '' && secret === '') return undefined
  return username === TOKEN_USER
    ? { kind: 'identityToken', username: '', token: secret }
    : { kind: 'password', username, password: secret }
}

function run(
  name: string,
  action: 'get' | 'store' | 'erase' | 'list',
  input: string,
  { environment, signal, timeoutMs }: HelperOptions,
): Promise<{ status: number; output: string }> {
  if (!NAME.test(name)) throw failure(name, 'has no valid name')
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.timeout(timeoutMs)
    const child = spawn(`docker-credential-${name}`, [action], {
      env: environment,
      // Its standard error may hold a secret or a question: neither belongs into our output.
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const stop = signal === undefined ? limit : AbortSignal.any([signal, limit])
    const end = (reason: string): void => {
      if (child.pid !== undefined) endTree(child.pid)
      reject(failure(name, reason))
    }
    const abort = (): void =>
      end(limit.aborted ? `did not answer within ${timeoutMs / 1000} s` : 'could not be run (AbortError)')
    if (stop.aborted) abort()
    else stop.addEventListener('abort', abort, { once: true })
    child.once('exit', () => stop.removeEventListener('abort', abort))
    let output = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      output += text
      if (output.length > MAX_OUTPUT) end(`answered with more than ${MAX_OUTPUT} characters`)
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      stop.removeEventListener('abort', abort)
      reject(
        failure(name, error.code === 'ENOENT' ? 'is not installed' : `could not be run (${error.code ?? error.name})`),
      )
    })
    child.on('close', (code) => resolve({ status: code ?? 128, output }))
    // A helper may leave a process behind (an agent) that keeps its output open for ever: what it said itself counts.
    child.on('exit', () => setTimeout(() => child.stdout.destroy(), EXIT_GRACE_MS).unref())
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

/**
 * Ends a helper that does not end with what it started: most are scripts around another program. Not by a process group of
 * its own, which could ask nothing on the terminal.
 */
function endTree(pid: number): void {
  for (const one of [pid, ...descendantsOf(pid)]) {
    try {
      process.kill(one, 'SIGKILL')
    } catch {
      // It is gone, or another user's: so it is not waited for.
    }
  }
}

/** Those that have a parent still: who left on purpose (an agent) stays. Empty where the kernel does not tell. */
function descendantsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter((text) => text !== '')
        .flatMap((text) => [Number(text), ...descendantsOf(Number(text))]),
    )
  } catch {
    return []
  }
}

function failure(name: string, what: string): BuilderError {
  return new BuilderError('OCI_CREDENTIALS', `the credential helper docker-credential-${name.slice(0, 60)} ${what}`, {
    hint: 'install or repair the helper, or remove it from credHelpers and credsStore of the auth file',
  })
}
