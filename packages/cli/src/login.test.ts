import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startStandIn, temporaryDirectory, testWith, type StandIn, type TemporaryDirectory } from '@ts-oci/testing'
import { environmentOf, tsbuild, tsbuildPath } from './tsbuild.test.helper.ts'

let directory: TemporaryDirectory
let registry: StandIn
const right = `Basic ${Buffer.from('tester:sesame street ').toString('base64')}`

beforeAll(async () => {
  directory = await temporaryDirectory()
  registry = await startStandIn((request, response) => {
    if (request.headers.authorization === right) response.end('{}')
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="tests"' }).end()
  })
})
afterAll(async () => {
  await registry?.stop()
  await directory?.[Symbol.asyncDispose]()
})

const fromInput = ['login', '-u', 'tester', '--password-stdin']

describe('tsbuild login', () => {
  test('says what docker login says, and what a logout says', async () => {
    const file = directory.join('.docker/config.json')
    expect(await tsbuild(directory, [...fromInput, registry.host], { input: 'sesame street \r\n' })).toMatchObject({
      status: 0,
      stdout: 'Login Succeeded\n',
      stderr: `\nWARNING! Your credentials are stored unencrypted in '${file}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
    })
    expect(await tsbuild(directory, ['login', registry.host])).toMatchObject({
      status: 0,
      stdout: 'Login Succeeded\n',
      stderr: expect.stringContaining('Authenticating with existing credentials... [Username: tester]\n'),
    })
    expect(await tsbuild(directory, ['login', '--get-login', registry.host])).toMatchObject({ stdout: 'tester\n' })
    expect(await tsbuild(directory, ['logout', registry.host])).toMatchObject({
      status: 0,
      stdout: `Removing login credentials for ${registry.host}\n`,
      stderr: '',
    })
    expect(await readFile(file, 'utf8')).toBe('{\n\t"auths": {}\n}')
    expect(await tsbuild(directory, ['login', '--get-login', registry.host])).toMatchObject({ status: 1 })
  })

  // The words and the status of docker login 28.5.
  test.each([
    [
      ['-u', 'u', '-p', 'x', '--password-stdin'],
      'conflicting options: cannot specify both --password and --password-stdin',
    ],
    [['--password-stdin'], 'the --password-stdin option requires --username to be set'],
    [['-u', ''], 'username is empty'],
    [['-u', 'u', '-p', ''], 'password is empty'],
    [['-u', 'u', '--password-stdin'], 'password is empty'],
    [['-u', 'u'], 'cannot perform an interactive login from a non TTY device'],
    [[], 'cannot perform an interactive login from a non TTY device'],
  ])('%j is refused', async (words, message) => {
    const ran = await tsbuild(directory, ['login', ...words, registry.host], { input: '\n' })
    expect(ran).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) })
  })

  test('warns of a password on the command line, and repeats it nowhere', async () => {
    const ran = await tsbuild(directory, ['login', '-u', 'tester', '-p', 'hunter2hunter2', registry.host])
    expect(ran).toMatchObject({ status: 1, stdout: '' })
    expect(ran.stderr).toContain('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n')
    expect(ran.stderr).toContain(`login attempt to http://${registry.host}/v2/ failed with status: 401 Unauthorized`)
    expect(ran.stderr).not.toContain('hunter2')
  })

  test('a helper that stores the login sees the secret on its standard input, no process on a command line', async () => {
    const home = directory.join('helper-home')
    await mkdir(`${home}/.docker`, { recursive: true })
    await writeFile(`${home}/.docker/config.json`, '{"credsStore":"looks"}')
    // All command lines of the moment in which the helper runs.
    const helper = `#!/bin/sh\ncat > ${home}/given\nfor p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $p; done > ${home}/lines 2>/dev/null\nexit 0\n`
    await writeFile(`${home}/docker-credential-looks`, helper)
    await chmod(`${home}/docker-credential-looks`, 0o755)
    const env = { HOME: home, PATH: `${home}:${process.env['PATH']}` }
    const ran = await tsbuild(directory, [...fromInput, registry.host], { input: 'sesame street ', env })
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(await readFile(`${home}/given`, 'utf8'))).toEqual({
      ServerURL: registry.host,
      Username: 'tester',
      Secret: 'sesame street ',
    })
    expect(await readFile(`${home}/lines`, 'utf8')).not.toContain('sesame street')
  })
})

testWith(
  ['script'],
  'on a terminal the password is asked for, and not shown',
  async () => {
    const command = `${process.execPath} ${tsbuildPath} login --authfile ${directory.join('asked.json')} ${registry.host}`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: environmentOf(directory),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let shown = ''
    child.stdout.on('data', (data: Buffer) => {
      shown += data.toString()
      if (shown.endsWith('Username: ')) child.stdin.write('tester\n')
      // A letter too many, taken back.
      if (shown.endsWith('Password: ')) child.stdin.write('sesame street x\u007f\r')
    })
    const status = await new Promise((resolve) => child.once('close', resolve))
    expect(shown).toContain('Login Succeeded')
    expect(shown).not.toContain('sesame')
    expect(status).toBe(0)
  },
  20_000,
)
