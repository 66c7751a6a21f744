import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import {
  type Registry,
  type RegistryOptions,
  runTool,
  startRegistry,
  startStandIn,
  temporaryDirectory,
  type TemporaryDirectory,
  testWith,
} from '@ts-oci/testing'
import { createRegistryClient } from '../client.ts'
import { loginTo, type LoginRequest, serverHost, storedLogin } from './login.ts'
import { logoutFrom } from './logout.ts'

const tools = ['docker-registry', 'openssl']

function requestIn(directory: TemporaryDirectory, server: string, more: Partial<LoginRequest> = {}): LoginRequest {
  const environment = {
    HOME: directory.path,
    XDG_RUNTIME_DIR: directory.join('run'),
    PATH: `${directory.path}:${process.env['PATH']}`,
  }
  return { server, username: 'tester', password: 'sesame-street', retries: 0, environment, ...more }
}

const fileIn = (directory: TemporaryDirectory): string => directory.join('.docker/config.json')

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
}

/** A registry that lets everybody in who knows the password by Basic. */
function basicRegistry() {
  const right = `Basic ${Buffer.from('tester:sesame-street').toString('base64')}`
  return startStandIn((request, response) => {
    if (request.headers.authorization === right) response.end('{}')
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="tests"' }).end()
  })
}

/** A helper that keeps its logins as files in a folder, and what it was called with in a log. */
async function installHelper(directory: TemporaryDirectory, name: string): Promise<void> {
  await mkdir(directory.join('kept'), { recursive: true })
  const script = `#!/bin/sh
    echo "$@" >> ${directory.join('calls')}
    cd ${directory.join('kept')} || exit 1
    input=$(cat)
    name() { printf %s "$1" | tr ':/' '__'; }
    case $1 in
      store) server=$(printf %s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/'); printf %s "$input" > "$(name "$server")" ;;
      get) cat "$(name "$input")" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
      erase) rm "$(name "$input")" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
      list) echo '{}' ;;
    esac\n`
  await writeFile(directory.join(`docker-credential-${name}`), script)
  await chmod(directory.join(`docker-credential-${name}`), 0o755)
}

async function fetchFails(registry: Registry, request: LoginRequest): Promise<string> {
  await using client = createRegistryClient({ environment: request.environment, retries: 0 })
  return await client.resolve(client.repository(`${registry.host}/private/x`), '1').then(
    () => 'found',
    (error: { code: string }) => error.code,
  )
}

describe.each<[string, RegistryOptions]>([
  ['basic', { auth: 'basic' }],
  ['token', { auth: 'token' }],
  ['identity token', { auth: 'token', tokens: { givesIdentityTokens: true } }],
  ['password grant', { auth: 'token', tokens: { takesNoGet: true } }],
])('a login to a registry with %s authentication', (_, options) => {
  testWith(tools, 'is used from then on, until the logout', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry(options)
    const request = requestIn(directory, registry.host)
    expect(await fetchFails(registry, request)).toBe('OCI_REGISTRY_UNAUTHORIZED')
    await loginTo(request)
    expect(await fetchFails(registry, request)).toBe('OCI_REGISTRY_NOT_FOUND')
    await logoutFrom(request)
    expect(await fetchFails(registry, request)).toBe('OCI_REGISTRY_UNAUTHORIZED')
  })

  testWith(tools, 'with a wrong password is refused, keeps nothing, and repeats nothing', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry(options)
    const error: unknown = await loginTo(requestIn(directory, registry.host, { password: 'my-secret-word' })).catch(
      (caught: unknown) => caught,
    )
    expect(error).toMatchObject({ code: 'OCI_REGISTRY_UNAUTHORIZED' })
    expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/my-secret-word|bXktc2VjcmV0LXdvcmQ/)
    await expect(stat(fileIn(directory))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

testWith(tools, 'of a registry that gives identity tokens no password is kept', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry({ auth: 'token', tokens: { givesIdentityTokens: true } })
  expect(await loginTo(requestIn(directory, registry.host))).toMatchObject({ isUnencrypted: false })
  const { identityToken } = registry.tokenService!
  const auth = Buffer.from('tester:').toString('base64')
  // As docker login writes it.
  expect(await readJson(fileIn(directory))).toEqual({
    auths: { [registry.host]: { auth, identitytoken: identityToken } },
  })
})

testWith(
  ['docker-registry', 'skopeo'],
  'skopeo reads what a login wrote, and a login reads what skopeo wrote',
  async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry({ auth: 'basic' })
    const authFile = directory.join('auth.json')
    const request = requestIn(directory, registry.host, { authFile })
    await loginTo(request)
    const asked = await runTool('skopeo', ['login', '--get-login', '--authfile', authFile, registry.host])
    expect(asked).toMatchObject({ status: 0, stdout: 'tester\n' })
    await logoutFrom(request)
    const words = [
      'login',
      '--tls-verify=false',
      '--authfile',
      authFile,
      '-u',
      'tester',
      '--password-stdin',
      registry.host,
    ]
    expect(await runTool('skopeo', words, { input: 'sesame-street' })).toMatchObject({ status: 0 })
    expect(await storedLogin(request)).toEqual({ kind: 'password', username: 'tester', password: 'sesame-street' })
  },
)

describe('the file of a login', () => {
  test('is readable for its owner alone, and keeps what else stands in it', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await mkdir(directory.join('.docker'))
    const before = {
      HttpHeaders: { 'X-Meta': 'here' },
      auths: { 'other.example': { auth: 'bzpw', email: 'o@other.example' } },
      proxies: { default: { httpProxy: 'http://proxy:3128' } },
      aKeyOfTheFuture: [1, { deep: null }],
    }
    await writeFile(fileIn(directory), JSON.stringify(before), { mode: 0o644 })
    await loginTo(requestIn(directory, registry.host))
    expect((await stat(fileIn(directory))).mode & 0o777).toBe(0o600)
    const auth = Buffer.from('tester:sesame-street').toString('base64')
    expect(await readJson(fileIn(directory))).toEqual({
      ...before,
      auths: { ...before.auths, [registry.host]: { auth } },
    })
    await logoutFrom(requestIn(directory, registry.host))
    expect(await readJson(fileIn(directory))).toEqual(before)
    // Nothing half-written, and no lock, is left beside it.
    expect(await readdir(directory.join('.docker'))).toEqual(['config.json'])
  })

  test('may be a link: the file behind it is changed', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await mkdir(directory.join('dotfiles'))
    await mkdir(directory.join('.docker'))
    await symlink('../dotfiles/docker.json', fileIn(directory))
    await loginTo(requestIn(directory, registry.host))
    expect(Object.keys(await readJson(directory.join('dotfiles/docker.json')))).toEqual(['auths'])
  })

  test('holds all of many logins at once', async () => {
    await using directory = await temporaryDirectory()
    const registries = await Promise.all(Array.from({ length: 12 }, basicRegistry))
    await Promise.all(registries.map(({ host }) => loginTo(requestIn(directory, host))))
    await Promise.all(registries.map((registry) => registry.stop()))
    const { auths } = await readJson(fileIn(directory))
    expect(Object.keys(auths as object).toSorted()).toEqual(registries.map(({ host }) => host).toSorted())
  })

  test('that is no JSON is left as it is', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await mkdir(directory.join('.docker'))
    await writeFile(fileIn(directory), '{"auths": {"a": {"auth": "c2VjcmV0OnNlY3JldA=="}')
    await expect(loginTo(requestIn(directory, registry.host))).rejects.toMatchObject({ code: 'OCI_CREDENTIALS' })
    expect(await readFile(fileIn(directory), 'utf8')).toBe('{"auths": {"a": {"auth": "c2VjcmV0OnNlY3JldA=="}')
  })

  test('is the one that REGISTRY_AUTH_FILE names, which is read first', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    const request = requestIn(directory, registry.host)
    const environment = { ...request.environment, REGISTRY_AUTH_FILE: directory.join('own/auth.json') }
    await loginTo({ ...request, environment })
    expect(Object.keys(await readJson(directory.join('own/auth.json')))).toEqual(['auths'])
    await expect(stat(fileIn(directory))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a credential helper', () => {
  test('keeps the login, gives it, and forgets it; no secret stands in the file or on its command line', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await installHelper(directory, 'kept')
    await mkdir(directory.join('.docker'))
    await writeFile(fileIn(directory), '{"credsStore":"kept"}')
    const request = requestIn(directory, registry.host)
    expect(await loginTo(request)).toMatchObject({ helper: 'kept', isUnencrypted: false })
    expect(await readJson(fileIn(directory))).toEqual({ credsStore: 'kept', auths: { [registry.host]: {} } })
    expect(await storedLogin(request)).toEqual({ kind: 'password', username: 'tester', password: 'sesame-street' })
    await logoutFrom(request)
    expect(await storedLogin(request)).toBeUndefined()
    expect(await readJson(fileIn(directory))).toEqual({ credsStore: 'kept', auths: {} })
    expect(await readFile(directory.join('calls'), 'utf8')).toBe('store\nget\nerase\nget\nget\n')
  })

  test('of one registry goes before the general one', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await installHelper(directory, 'own')
    await mkdir(directory.join('.docker'))
    await writeFile(
      fileIn(directory),
      JSON.stringify({ credsStore: 'missing', credHelpers: { [registry.host]: 'own' } }),
    )
    expect(await loginTo(requestIn(directory, registry.host))).toMatchObject({ helper: 'own' })
  })

  test("is taken where a file says nothing and Docker's usual one is installed", async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await installHelper(directory, 'secretservice')
    const request = requestIn(directory, registry.host)
    const environment = { ...request.environment, PATH: `${directory.path}:/bin` }
    expect(await loginTo({ ...request, environment })).toMatchObject({ helper: 'secretservice' })
    expect(await readJson(fileIn(directory))).toMatchObject({ credsStore: 'secretservice' })
  })

  test('that hangs is ended after its time, and nothing is written', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await writeFile(directory.join('docker-credential-hangs'), '#!/bin/sh\nexec sleep 60\n')
    await chmod(directory.join('docker-credential-hangs'), 0o755)
    await mkdir(directory.join('.docker'))
    await writeFile(fileIn(directory), '{"credsStore":"hangs"}')
    const request = requestIn(directory, registry.host, { timeouts: { helperMs: 300 } })
    const failure = { code: 'OCI_CREDENTIALS', message: expect.stringContaining('did not answer within 0.3 s') }
    await expect(loginTo(request)).rejects.toMatchObject(failure)
    await expect(logoutFrom(request)).rejects.toMatchObject(failure)
    expect(await readFile(fileIn(directory), 'utf8')).toBe('{"credsStore":"hangs"}')
    // The next login, without it, is right.
    await writeFile(fileIn(directory), '{}')
    expect(await loginTo({ ...request, environment: { ...request.environment, PATH: '/bin' } })).toMatchObject({
      helper: undefined,
    })
  })

  test('that fails at a login is told by name, and nothing of its words', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await basicRegistry()
    await writeFile(directory.join('docker-credential-fails'), '#!/bin/sh\ncat; cat >&2; exit 3\n')
    await chmod(directory.join('docker-credential-fails'), 0o755)
    await mkdir(directory.join('.docker'))
    await writeFile(fileIn(directory), '{"credsStore":"fails"}')
    const error: unknown = await loginTo(requestIn(directory, registry.host)).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ message: expect.stringContaining('docker-credential-fails') })
    expect(inspect(error, { depth: 20 })).not.toContain('sesame')
  })
})

test('DOCKER_AUTH_CONFIG goes before the files', async () => {
  await using directory = await temporaryDirectory()
  const request = requestIn(directory, 'registry.example')
  const auths = (auth: string): string => JSON.stringify({ auths: { 'registry.example': { auth } } })
  await mkdir(directory.join('.docker'))
  await writeFile(fileIn(directory), auths(Buffer.from('file:1').toString('base64')))
  const environment = {
    ...request.environment,
    DOCKER_AUTH_CONFIG: auths(Buffer.from('variable:2').toString('base64')),
  }
  expect(await storedLogin(request)).toMatchObject({ username: 'file' })
  expect(await storedLogin({ ...request, environment })).toMatchObject({ username: 'variable' })
})

test('a logout tells of a login that another program keeps', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await basicRegistry()
  const request = requestIn(directory, registry.host)
  await loginTo(request)
  await mkdir(directory.join('run/containers'), { recursive: true })
  const podman = directory.join('run/containers/auth.json')
  await writeFile(podman, JSON.stringify({ auths: { [registry.host]: { auth: 'cG9kbWFuOng=' } } }))
  expect(await logoutFrom(request)).toEqual({ servers: [registry.host], left: [podman] })
})

test('a logout of all registries empties the file', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(directory.join('.docker'))
  await writeFile(fileIn(directory), '{"auths":{"a.example":{"auth":"YTpi"},"b.example":{"auth":"YTpi"}},"x":1}')
  const request = requestIn(directory, '', { all: true } as object)
  expect(await logoutFrom(request)).toMatchObject({ servers: ['a.example', 'b.example'] })
  expect(await readJson(fileIn(directory))).toEqual({ auths: {}, x: 1 })
})

test('a server that is no registry is told, not logged in to', async () => {
  await using directory = await temporaryDirectory()
  await using site = await startStandIn((_, response) => void response.writeHead(404).end('<html>'))
  await expect(loginTo(requestIn(directory, site.host))).rejects.toMatchObject({
    code: 'OCI_REGISTRY_PROTOCOL',
    message: expect.stringContaining('is no registry'),
  })
})

describe('the server of a login', () => {
  test.each([
    [undefined, 'docker.io'],
    ['', 'docker.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['https://registry.example:5000/v2/', 'registry.example:5000'],
    ['registry.example/team/app', 'registry.example'],
    ['[::1]:5000', '[::1]:5000'],
  ])('%j is %s', (server, name) => expect(serverHost(server).name).toBe(name))

  test.each(['a b', 'user:pw@host', 'host:port', '$(id)', 'host:99999'])('%j is none', (server) => {
    expect(() => serverHost(server)).toThrow(/no address of a registry/)
  })
})
