import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { describeWith, runTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { openOwnSocket } from '../ops/ssh-agent/agent-socket.ts'
import { createSshAgents } from './ssh-agents.ts'

describeWith(['ssh-keygen', 'ssh-add', 'ssh-agent', 'openssl'], 'agents of --ssh', () => {
  let work: TemporaryDirectory
  let count = 0
  beforeAll(async () => {
    work = await temporaryDirectory()
  })
  afterAll(async () => {
    await work?.[Symbol.asyncDispose]()
  })

  function makeKey(name: string, ...options: readonly string[]): string {
    const passphrase = options.includes('-N') ? [] : ['-N', '']
    execFileSync('ssh-keygen', ['-q', ...passphrase, '-C', '', '-f', work.join(name), ...options])
    return work.join(name)
  }

  async function withAgent<T>(paths: readonly string[], use: (env: Record<string, string>) => Promise<T>): Promise<T> {
    const agents = await createSshAgents([{ id: 'mine', paths }])
    await using socket = await openOwnSocket({
      agent: agents('mine')!,
      directory: work.path,
      name: `socket-${count++}`,
    })
    return await use({ ...(process.env as Record<string, string>), SSH_AUTH_SOCK: socket.path })
  }

  // OpenSSH itself reads the key, asks for a signature, and verifies it.
  test.each([
    ['ed25519', ['-t', 'ed25519']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
    ['ecdsa-256', ['-t', 'ecdsa', '-b', '256']],
    ['ecdsa-384', ['-t', 'ecdsa', '-b', '384']],
    ['ecdsa-521', ['-t', 'ecdsa', '-b', '521']],
    ['rsa-pem', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    ['rsa-pkcs8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
    ['ecdsa-pem', ['-t', 'ecdsa', '-b', '384', '-m', 'PEM']],
    ['ecdsa-pkcs8', ['-t', 'ecdsa', '-m', 'PKCS8']],
  ])('a key file of %s signs', async (name, options) => {
    const file = makeKey(name, ...options)
    const publicKey = readFileSync(`${file}.pub`, 'utf8').trim()
    await withAgent([file], async (env) => {
      expect((await runTool('ssh-add', ['-L'], { env })).stdout.trim()).toBe(publicKey)
      // It signs, by SHA-2 with RSA, and verifies.
      expect(await runTool('ssh-add', ['-T', `${file}.pub`], { env })).toMatchObject({ status: 0 })
    })
  })

  test('a key that openssl wrote in PKCS#8 signs', async () => {
    const file = work.join('ed-pkcs8')
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', file])
    await withAgent([file], async (env) => {
      const { stdout } = await runTool('ssh-add', ['-L'], { env })
      writeFileSync(work.join('ed-pkcs8.pub'), stdout)
      expect(stdout).toMatch(/^ssh-ed25519 /)
      expect(await runTool('ssh-add', ['-T', work.join('ed-pkcs8.pub')], { env })).toMatchObject({ status: 0 })
    })
  })

  test('several keys are one agent, each key once, and it takes none from who asks', async () => {
    const [a, b] = [makeKey('several-a', '-t', 'ed25519'), makeKey('several-b', '-t', 'ed25519')]
    await withAgent([a, b, a], async (env) => {
      const { stdout } = await runTool('ssh-add', ['-L'], { env })
      expect(stdout.split('\n').filter((line) => line !== '')).toHaveLength(2)
      expect((await runTool('ssh-add', ['-q', a], { env })).status).not.toBe(0)
      expect((await runTool('ssh-add', ['-D'], { env })).status).not.toBe(0)
    })
  })

  test('each id has an agent of its own; an empty one is the default', async () => {
    const [a, b] = [makeKey('id-a', '-t', 'ed25519'), makeKey('id-b', '-t', 'ed25519')]
    const agents = await createSshAgents([
      { id: '', paths: [a] },
      { id: 'two', paths: [b] },
    ])
    const keys = await Promise.all(
      ['default', 'two'].map((id) =>
        agents(id)!
          .connect()
          .ask(Buffer.from([11])),
      ),
    )
    expect(keys[0]!.equals(keys[1]!)).toBe(false)
    expect(agents('three')).toBeUndefined()
  })

  // The words of `docker buildx build` for the same.
  describe('are refused as by docker', () => {
    const FOR_ID = 'failed to convert agent config for ID: "x": '
    test.each<[string, () => readonly string[], (paths: readonly string[]) => string]>([
      [
        'with a passphrase',
        () => [makeKey('locked', '-t', 'ed25519', '-N', 'secret')],
        ([file]) => `failed to parse ${file}: ssh: this private key is passphrase protected`,
      ],
      [
        'with a passphrase in PEM',
        () => [makeKey('locked-pem', '-t', 'rsa', '-m', 'PEM', '-N', 'secret')],
        ([file]) => `failed to parse ${file}: ssh: this private key is passphrase protected`,
      ],
      ['not a key', () => [written('none', 'text')], ([file]) => `failed to parse ${file}: ssh: no key found`],
      [
        'of another type',
        () => [written('dsa', '-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n')],
        ([file]) => `failed to parse ${file}: ssh: unsupported key type "DSA PRIVATE KEY"`,
      ],
      [
        'damaged',
        () => [written('bad', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n')],
        ([file]) => `failed to parse ${file}: ssh: the private key is damaged`,
      ],
      ['missing', () => [work.join('absent')], ([file]) => `stat ${file}: no such file or directory`],
      ['a directory', () => [work.path], ([file]) => `failed to read ${file}: is a directory`],
      [
        'an empty name among others',
        () => [makeKey('plain', '-t', 'ed25519'), ''],
        () => 'stat : no such file or directory',
      ],
    ])('a key file that is %s', async (_what, make, message) => {
      const paths = make()
      await expect(createSshAgents([{ id: 'x', paths }])).rejects.toMatchObject({
        code: 'OCI_OPTION_INVALID',
        message: FOR_ID + message(paths),
        hint: expect.any(String),
      })
    })

    test('sockets and keys together, and two sockets', async () => {
      const { createServer } = await import('node:net')
      const server = createServer()
      await new Promise<void>((done) => server.listen(work.join('agent'), done))
      try {
        const [key, socket] = [makeKey('mixed', '-t', 'ed25519'), work.join('agent')]
        for (const [paths, message] of [
          [[key, socket], 'invalid combination of keys and sockets'],
          [[socket, key], 'only single socket allowed'],
          [[socket, socket], 'only single socket allowed'],
        ] as const)
          await expect(createSshAgents([{ id: 'x', paths }])).rejects.toMatchObject({ message: FOR_ID + message })
      } finally {
        server.close()
      }
    })

    test('one id twice', async () => {
      const paths = [makeKey('twice', '-t', 'ed25519')]
      await expect(
        createSshAgents([
          { id: 'x', paths },
          { id: 'x', paths },
        ]),
      ).rejects.toMatchObject({
        message: 'duplicate agent ID "x"',
      })
    })
  })

  function written(name: string, text: string): string {
    writeFileSync(work.join(name), text)
    return work.join(name)
  }
})
