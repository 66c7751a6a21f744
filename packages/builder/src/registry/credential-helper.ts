import { spawn } from 'node:child_process'
import { BuilderError } from '../base/errors.ts'
import type { Credential } from './options.ts'

const TIMEOUT_MS = 30_000
const EXIT_GRACE_MS = 500
const MAX_OUTPUT = 1024 * 1024
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** The user name by which a helper says that its secret is an identity token. */
const TOKEN_USER = '<token>'

/**
 * Asks `docker-credential-<name> get` for a server; undefined when it knows none.
 * @throws OCI_CREDENTIALS when the helper is missing, fails or answers nonsense. Nothing that it prints is quoted.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  options: {
    readonly environment: Readonly<Record<string, string | undefined>>
    readonly signal: AbortSignal | undefined
  },
): Promise<Credential | undefined> {
  if (!NAME.test(name)) throw failure(name, 'has no valid name')
  const { status, output } = await run(name, server, options)
  // The protocol's own words for "I know none" (docker-credential-helpers), printed on standard output.
  if (status !== 0 && /credentials not found/i.test(output)) return undefined
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
  server: string,
  {
    environment,
    signal,
  }: { readonly environment: Readonly<Record<string, string | undefined>>; readonly signal: AbortSignal | undefined },
): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.timeout(TIMEOUT_MS)
    const child = spawn(`docker-credential-${name}`, ['get'], {
      env: environment,
      // Its standard error may hold a secret or a question: neither belongs into our output.
      stdio: ['pipe', 'pipe', 'ignore'],
      killSignal: 'SIGKILL',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    })
    let output = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      output += text
      if (output.length <= MAX_OUTPUT) return
      child.kill('SIGKILL')
      reject(failure(name, `answered with more than ${MAX_OUTPUT} characters`))
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        failure(
          name,
          error.code === 'ENOENT'
            ? 'is not installed'
            : limit.aborted
              ? 'did not answer in time'
              : `could not be run (${error.code ?? error.name})`,
        ),
      )
    })
    child.on('close', (code) => resolve({ status: code ?? 128, output }))
    // A helper may leave a process behind (an agent) that keeps its output open for ever: what it said itself counts.
    child.on('exit', () => setTimeout(() => child.stdout.destroy(), EXIT_GRACE_MS).unref())
    child.stdin.on('error', () => undefined)
    child.stdin.end(server)
  })
}

function failure(name: string, what: string): BuilderError {
  return new BuilderError('OCI_CREDENTIALS', `the credential helper docker-credential-${name.slice(0, 60)} ${what}`, {
    hint: 'install or repair the helper, or remove it from credHelpers and credsStore of the auth file',
  })
}
