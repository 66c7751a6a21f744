import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { parseAuthFile } from './auth-files.ts'
import { createCredentialLookup } from './credentials.ts'
import { registryHost } from './host.ts'
import { type Credential, type RegistryClientOptions, resolveOptions } from './options.ts'

const auth = (user: string, password = 'pw'): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
})

async function find(
  directory: TemporaryDirectory,
  name: string,
  options: RegistryClientOptions = {},
): Promise<string | undefined> {
  const environment = {
    HOME: directory.path,
    XDG_RUNTIME_DIR: directory.join('run'),
    PATH: `${directory.join('bin')}:${process.env['PATH']}`,
    ...options.environment,
  }
  const slash = name.indexOf('/')
  const repository = { host: registryHost(name.slice(0, slash), new Set()), path: name.slice(slash + 1) }
  const { credential } = await createCredentialLookup(resolveOptions({ ...options, environment })).find(
    repository,
    undefined,
  )
  return credential === undefined ? undefined : describeCredential(credential)
}

function describeCredential(credential: Credential): string {
  return credential.kind === 'password'
    ? `${credential.username}:${credential.password}`
    : `${credential.kind} ${credential.token}`
}

async function write(path: string, value: object | string, mode = 0o600): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value))
  await chmod(path, mode)
}

describe('auth files', () => {
  test('Docker Hub is found under the key that docker login writes', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), { auths: { 'https://index.docker.io/v1/': auth('hub') } })
    expect(await find(home, 'docker.io/library/debian')).toBe('hub:pw')
    expect(await find(home, 'quay.io/a/b')).toBeUndefined()
  })

  test('the longest prefix of registry and path wins', async () => {
    await using home = await temporaryDirectory()
    const auths = { 'r.example': auth('host'), 'r.example/team': auth('team'), 'r.example/team/app': auth('app') }
    await write(home.join('run/containers/auth.json'), { auths })
    expect(await find(home, 'r.example/team/app')).toBe('app:pw')
    expect(await find(home, 'r.example/team/other/x')).toBe('team:pw')
    expect(await find(home, 'r.example/teams')).toBe('host:pw')
  })

  test.each(['', '/', '//', '/v1', '/v1/', '/v2/'])('a key HOST%s is that host', async (suffix) => {
    await using home = await temporaryDirectory()
    for (const scheme of ['', 'http://', 'https://', 'HTTPS://']) {
      await write(home.join('.docker/config.json'), {
        auths: { 'other.example': auth('other'), [`${scheme}Registry.example:5000${suffix}`]: auth('mine') },
      })
      expect(await find(home, 'registry.example:5000/team/app')).toBe('mine:pw')
      expect(await find(home, 'registry.example/team/app')).toBeUndefined()
    }
  })

  test.each(['https://index.docker.io/v1', 'index.docker.io/v1/', 'docker.io/', 'https://registry-1.docker.io/'])(
    'Docker Hub is found under %s',
    async (key) => {
      await using home = await temporaryDirectory()
      await write(home.join('.docker/config.json'), { auths: { [key]: auth('hub') } })
      expect(await find(home, 'docker.io/library/debian')).toBe('hub:pw')
    },
  )

  test('a path in a key is no name of the whole registry, nor is a part of a name', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), {
      auths: {
        'registry.example/team': auth('team'),
        'example/': auth('part'),
        'user@registry.example/': auth('user'),
      },
    })
    expect(await find(home, 'registry.example/other/app')).toBeUndefined()
    expect(await find(home, 'registry.example/team/app')).toBe('team:pw')
  })

  test('a pipe, a device or an endless file is told, not read', async () => {
    await using home = await temporaryDirectory()
    await checkTool('mkfifo', [home.join('pipe')])
    await write(home.join('large'), `{"auths":{}${' '.repeat(5 << 20)}}`)
    for (const path of [home.join('pipe'), '/dev/zero', home.join('large')])
      await expect(find(home, 'registry.example/a', { authFile: path })).rejects.toMatchObject({
        code: 'OCI_CREDENTIALS',
        message: expect.stringContaining(path),
      })
  })

  test('a port belongs to the name', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), {
      auths: { 'r.example': auth('plain'), 'r.example:5000': auth('port') },
    })
    expect(await find(home, 'r.example:5000/a')).toBe('port:pw')
    expect(await find(home, 'r.example:5001/a')).toBeUndefined()
  })

  test('the files are asked in order: REGISTRY_AUTH_FILE, Docker, Podman of the session, Podman', async () => {
    await using home = await temporaryDirectory()
    const file = (user: string): object => ({ auths: { 'r.example': auth(user) } })
    await write(home.join('.config/containers/auth.json'), file('lasting'))
    expect(await find(home, 'r.example/a')).toBe('lasting:pw')
    await write(home.join('run/containers/auth.json'), file('session'))
    expect(await find(home, 'r.example/a')).toBe('session:pw')
    await write(home.join('.docker/config.json'), file('docker'))
    expect(await find(home, 'r.example/a')).toBe('docker:pw')
    await write(home.join('elsewhere/config.json'), file('config'))
    expect(await find(home, 'r.example/a', { environment: { DOCKER_CONFIG: home.join('elsewhere') } })).toBe(
      'config:pw',
    )
    await write(home.join('named.json'), file('named'))
    expect(await find(home, 'r.example/a', { environment: { REGISTRY_AUTH_FILE: home.join('named.json') } })).toBe(
      'named:pw',
    )
  })

  test('an auth file given by option is the only one', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), { auths: { 'r.example': auth('docker') } })
    await write(home.join('mine.json'), { auths: { 's.example': auth('mine') } })
    expect(await find(home, 'r.example/a', { authFile: home.join('mine.json') })).toBeUndefined()
    expect(await find(home, 's.example/a', { authFile: home.join('mine.json') })).toBe('mine:pw')
  })

  test('an auth file given by option that is not there is told; those that have a place of their own may be missing', async () => {
    await using home = await temporaryDirectory()
    await expect(find(home, 'r.example/a', { authFile: home.join('slip.json') })).rejects.toMatchObject({
      code: 'OCI_CREDENTIALS',
      message: `there is no auth file ${home.join('slip.json')}`,
    })
    const environment = { REGISTRY_AUTH_FILE: home.join('slip.json') }
    expect(await find(home, 'r.example/a', { environment })).toBeUndefined()
  })

  test('a password may hold colons, and the user name none', () => {
    const file = parseAuthFile('x', JSON.stringify({ auths: { a: auth('user', 'p:w:') } }))
    expect(file.auths.get('a')).toEqual({ kind: 'password', username: 'user', password: 'p:w:' })
  })

  test('an identity token is told from a password', () => {
    const file = parseAuthFile('x', JSON.stringify({ auths: { a: { ...auth('user', ''), identitytoken: 'refresh' } } }))
    expect(file.auths.get('a')).toEqual({ kind: 'identityToken', username: 'user', token: 'refresh' })
  })

  test('an empty entry, as docker login leaves it beside a credential store, is no credential', () => {
    expect(parseAuthFile('x', '{"auths": {"a": {}}}').auths.size).toBe(0)
  })

  test('a broken file is named, and nothing of its text is told', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), '{"auths": {"r": {"auth": "c2VjcmV0"}}')
    const error: unknown = await find(home, 'r.example/a').catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OCI_CREDENTIALS', message: expect.stringContaining('.docker/config.json') })
    expect(inspect(error, { depth: 10 })).not.toContain('c2VjcmV0')
  })
})

describe('credential helpers', () => {
  const helper = (answer: string): string => `#!/bin/sh\nread server\necho "$1 $server" >> "$0.log"\n${answer}\n`

  test('a registry with a helper of its own asks that one, by its name', async () => {
    await using home = await temporaryDirectory()
    await write(
      home.join('bin/docker-credential-own'),
      helper(`echo '{"ServerURL":"r","Username":"me","Secret":"hush"}'`),
      0o755,
    )
    await write(home.join('.docker/config.json'), {
      credHelpers: { 'r.example': 'own' },
      auths: { 'r.example': auth('file') },
    })
    expect(await find(home, 'r.example/a')).toBe('me:hush')
    expect(await readFile(home.join('bin/docker-credential-own.log'), 'utf8')).toBe('get r.example\n')
    expect(await find(home, 's.example/a')).toBeUndefined()
  })

  test('the general store is asked for every registry, for Docker Hub by its old address', async () => {
    await using home = await temporaryDirectory()
    await write(
      home.join('bin/docker-credential-all'),
      helper(`echo '{"ServerURL":"","Username":"<token>","Secret":"refresh"}'`),
      0o755,
    )
    await write(home.join('.docker/config.json'), { credsStore: 'all' })
    expect(await find(home, 'docker.io/library/debian')).toBe('identityToken refresh')
    expect(await readFile(home.join('bin/docker-credential-all.log'), 'utf8')).toBe('get https://index.docker.io/v1/\n')
  })

  test('a store that knows nothing leaves the word to the entries', async () => {
    await using home = await temporaryDirectory()
    await write(
      home.join('bin/docker-credential-all'),
      helper('echo "credentials not found in native keychain"; exit 1'),
      0o755,
    )
    await write(home.join('.docker/config.json'), { credsStore: 'all', auths: { 'r.example': auth('file') } })
    expect(await find(home, 'r.example/a')).toBe('file:pw')
  })

  test('a helper that is missing is noted, and the search goes on', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('.docker/config.json'), { credsStore: 'gone' })
    const options = resolveOptions({ environment: { HOME: home.path, PATH: home.path } })
    const answer = await createCredentialLookup(options).find(
      { host: registryHost('r.example', new Set()), path: 'a' },
      undefined,
    )
    expect(answer).toEqual({
      credential: undefined,
      notes: ['the credential helper docker-credential-gone is not installed'],
    })
  })

  test('a helper that prints without end is ended, and its words are nowhere', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('bin/docker-credential-endless'), '#!/bin/sh\nexec yes secret-in-the-answer\n', 0o755)
    await write(home.join('.docker/config.json'), { credsStore: 'endless' })
    const startMs = performance.now()
    const environment = { HOME: home.path, PATH: `${home.join('bin')}:${process.env['PATH']}` }
    const { credential, notes } = await createCredentialLookup(resolveOptions({ environment })).find(
      { host: registryHost('registry.example', new Set()), path: 'a' },
      undefined,
    )
    expect(credential).toBeUndefined()
    expect(notes.join()).toContain('answered with more than')
    expect(notes.join()).not.toContain('secret-in')
    expect(performance.now() - startMs).toBeLessThan(5000)
  })

  test('a helper that hangs is ended after its time, noted, and the search goes on', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('bin/docker-credential-hangs'), '#!/bin/sh\nexec sleep 60\n', 0o755)
    const auths = { 'registry.example': { auth: Buffer.from('u:p').toString('base64') } }
    await write(home.join('.docker/config.json'), { credHelpers: { 'registry.example': 'hangs' } })
    await write(home.join('.config/containers/auth.json'), { auths })
    const environment = {
      HOME: home.path,
      XDG_RUNTIME_DIR: home.path,
      PATH: `${home.join('bin')}:${process.env['PATH']}`,
    }
    const options = resolveOptions({ environment, timeouts: { helperMs: 300 } })
    const where = { host: registryHost('registry.example', new Set()), path: 'a' }
    const { credential } = await createCredentialLookup(options).find(where, undefined)
    expect(credential).toEqual({ kind: 'password', username: 'u', password: 'p' })
    const alone = resolveOptions({
      environment: { ...environment, XDG_CONFIG_HOME: '/nonexistent' },
      timeouts: { helperMs: 300 },
    })
    const { notes } = await createCredentialLookup(alone).find(where, undefined)
    expect(notes).toEqual(['the credential helper docker-credential-hangs did not answer within 0.3 s'])
  })

  test('a helper that hangs is ended with what it waits for', async () => {
    await using home = await temporaryDirectory()
    const script = `#!/bin/sh\n(sleep 60 & echo $! > ${home.join('pid')}; wait); true\n`
    await write(home.join('bin/docker-credential-waits'), script, 0o755)
    await write(home.join('.docker/config.json'), { credsStore: 'waits' })
    const environment = { HOME: home.path, PATH: `${home.join('bin')}:${process.env['PATH']}` }
    const options = resolveOptions({ environment, timeouts: { helperMs: 500 } })
    const { notes } = await createCredentialLookup(options).find(
      { host: registryHost('registry.example', new Set()), path: 'a' },
      undefined,
    )
    expect(notes).toEqual(['the credential helper docker-credential-waits did not answer within 0.5 s'])
    const pid = (await readFile(home.join('pid'), 'utf8')).trim()
    // Whoever adopted it may not have waited for it yet.
    const isGone = async (): Promise<boolean> =>
      (await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z ')).includes(') Z ')
    for (let tries = 0; tries < 50 && !(await isGone()); tries++) await new Promise((go) => setTimeout(go, 100))
    expect(await isGone()).toBe(true)
  })

  test('a helper that leaves a process behind has answered all the same', async () => {
    await using home = await temporaryDirectory()
    const answer = '{"Username":"u","Secret":"p"}'
    await write(home.join('bin/docker-credential-agent'), `#!/bin/sh\nsleep 20 &\necho '${answer}'\n`, 0o755)
    await write(home.join('.docker/config.json'), { credsStore: 'agent' })
    const startMs = performance.now()
    const environment = { HOME: home.path, PATH: `${home.join('bin')}:${process.env['PATH']}` }
    const { credential } = await createCredentialLookup(resolveOptions({ environment })).find(
      { host: registryHost('registry.example', new Set()), path: 'a' },
      undefined,
    )
    expect(credential).toEqual({ kind: 'password', username: 'u', password: 'p' })
    expect(performance.now() - startMs).toBeLessThan(10_000)
  })

  test('a helper whose name is a path is not run', async () => {
    await using home = await temporaryDirectory()
    await write(home.join('x/evil'), helper('true'), 0o755)
    await write(home.join('.docker/config.json'), { credsStore: '../x/evil' })
    expect(await find(home, 'r.example/a')).toBeUndefined()
    await expect(readFile(home.join('x/evil.log'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
