import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findTool } from './requirements.ts'
import { temporaryDirectory } from './temporary.ts'
import { startTokenService, type TokenKinds, type TokenService } from './token-service.ts'

export interface RegistryOptions {
  /** `basic`: user and password on every request; `token`: a token service that asks for user and password. */
  readonly auth?: 'none' | 'basic' | 'token'
  /** What the token service gives and takes. */
  readonly tokens?: TokenKinds
}

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  readonly url: string
  /** Present when the registry asks who is there. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined
  readonly tokenService: TokenService | undefined
  /** Where the registry keeps its files; a test may damage them. */
  readonly storage: string
  /** `METHOD PATH STATUS` of every request so far. */
  requests(): string[]
  /** Everything that the registry wrote to its log. */
  log(): string
  stop(): Promise<void>
}

const credentials = { user: 'tester', password: 'sesame-street' }
// bcrypt of the password above, from crypt(3): the registry takes no other form.
const htpasswd = 'tester:$2y$05$abcdefghijklmnopqrstuu7wSad3dtslILuwmaRx3yjIYYqIcbYEa\n'

/** Starts a real docker-registry on a free port of the loopback with a store of its own; needs `docker-registry`. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const auth = options.auth ?? 'none'
  const directory = await temporaryDirectory('ts-oci-registry-')
  const storage = directory.join('storage')
  await mkdir(storage)
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const tokenService =
    auth === 'token' ? await startTokenService(directory.path, credentials, options.tokens) : undefined
  const config = directory.join('config.yml')
  await writeFile(config, configuration(port, storage, await authentication(auth, directory.path, tokenService)))
  const { child, log } = spawnRegistry(config)
  const stop = async (): Promise<void> => {
    await endChild(child)
    await tokenService?.stop()
    await rm(directory.path, { recursive: true, force: true })
  }
  try {
    await untilReady(host, child, log)
  } catch (error) {
    await stop()
    throw error
  }
  const known = auth === 'none' ? undefined : credentials
  const requests = (): string[] => requestLines(log())
  return {
    host,
    url: `http://${host}`,
    credentials: known,
    tokenService,
    storage,
    requests,
    log,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function configuration(port: number, storage: string, auth: readonly string[]): string {
  return [
    'version: 0.1',
    'log: { level: info, accesslog: { disabled: false } }',
    'storage:',
    `  filesystem: { rootdirectory: ${storage} }`,
    '  delete: { enabled: true }',
    `http: { addr: "127.0.0.1:${port}", secret: test }`,
    ...auth,
    '',
  ].join('\n')
}

async function authentication(
  auth: string,
  directory: string,
  tokenService: TokenService | undefined,
): Promise<string[]> {
  if (auth === 'basic') {
    const path = join(directory, 'htpasswd')
    await writeFile(path, htpasswd)
    return [`auth: { htpasswd: { realm: tests, path: ${path} } }`]
  }
  if (tokenService === undefined) return []
  const { realm, service, issuer, certificate } = tokenService
  return [
    `auth: { token: { realm: "${realm}", service: ${service}, issuer: ${issuer}, rootcertbundle: ${certificate} } }`,
  ]
}

function spawnRegistry(config: string): { child: ChildProcess; log: () => string } {
  const tool = findTool('docker-registry')
  if (tool === undefined) throw new Error('docker-registry is missing: testWith(["docker-registry"], …)')
  const child = spawn(tool, ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  })
  let text = ''
  const append = (chunk: Buffer): void => {
    text += chunk.toString()
  }
  child.stdout?.on('data', append)
  child.stderr?.on('data', append)
  // A test process that is killed takes its registry along as well as it can.
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  return { child, log: () => text }
}

async function untilReady(host: string, child: ChildProcess, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break
    const response = await fetch(`http://${host}/v2/`).catch(() => undefined)
    await response?.arrayBuffer()
    if (response !== undefined) return
    await sleep(50)
  }
  throw new Error(`docker-registry did not start:\n${log()}`)
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** Lines of the access log are in Apache's combined format. */
function requestLines(log: string): string[] {
  return [...log.matchAll(/"([A-Z]+) (\/v2\/[^" ]*) HTTP\/[0-9.]+" (\d+)/g)].map(
    ([, method, path, status]) => `${method} ${path} ${status}`,
  )
}
