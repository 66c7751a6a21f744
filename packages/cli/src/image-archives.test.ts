import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { checkTool, runTool, temporaryDirectory, testWith, type TemporaryDirectory } from '@ts-oci/testing'
import { environmentOf, tsbuild, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

async function withImage(directory: TemporaryDirectory): Promise<string> {
  const context = await writeContext(directory, {
    Dockerfile: 'FROM scratch\nCOPY hello.txt /\n',
    'hello.txt': 'hello\n',
  })
  return (await tsbuild(directory, ['-q', '-t', 'app:1', context])).stdout.trim()
}

describe('save and load', () => {
  test('say what Docker says, from a file and through a pipe', async () => {
    await using directory = await temporaryDirectory()
    const id = await withImage(directory)
    expect(await tsbuild(directory, ['save', '-o', 'a.tar', 'app:1'])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
    const env = { TSBUILD_HOME: directory.join('other') }
    const loaded = await tsbuild(directory, ['load', '-i', 'a.tar'], { env })
    expect(loaded).toMatchObject({ status: 0, stdout: 'Loaded image: app:1\n', stderr: '' })
    const command = `"$0" "$1" image save ${id} | TSBUILD_HOME=${directory.join('third')} "$0" "$1" image load -q`
    const piped = await runTool('sh', ['-c', command, process.execPath, tsbuildPath], { env: environmentOf(directory) })
    expect(piped).toMatchObject({ status: 0, stdout: `Loaded image ID: ${id}\n` })
  })

  test.each([
    [['load', '-i', 'none.tar'], 1, /^ERROR: open none\.tar: no such file or directory/],
    [['save', 'none'], 1, /^ERROR: No such image: none/],
    [['save', '--format', 'zip', 'app:1'], 125, /^ERROR: invalid argument "zip" for --format/],
    [['save'], 1, /^ERROR: tsbuild save takes at least 1 argument/],
    [['load'], 1, /^ERROR: standard input is empty/],
  ] as const)('%j fails with status %i', async (args, status, message) => {
    await using directory = await temporaryDirectory()
    const result = await tsbuild(directory, args)
    expect(result.status).toBe(status)
    expect(result.stderr).toMatch(message)
    expect(result.stdout).toBe('')
  })

  testWith(['script'], 'an archive does not go to a terminal', async () => {
    await using directory = await temporaryDirectory()
    await withImage(directory)
    for (const command of ['save', 'export']) {
      const line = `${process.execPath} ${tsbuildPath} ${command} app:1`
      const shown = await runTool('script', ['-qec', line, '/dev/null'], { env: environmentOf(directory) })
      expect(shown.stdout).toContain('cowardly refusing to save to a terminal. Use the -o flag or redirect')
      expect(shown.status).toBe(1)
    }
  })
})

test('import makes an image of a tar, export a tar of an image', async () => {
  await using directory = await temporaryDirectory()
  await withImage(directory)
  const command = `"$0" "$1" export app:1 | "$0" "$1" import -c 'CMD ["/hello.txt"]' -m made - again:2`
  const made = await runTool('sh', ['-c', command, process.execPath, tsbuildPath], { env: environmentOf(directory) })
  expect(made.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
  const inspected = await tsbuild(directory, ['inspect', '-f', '{{json .Config.Cmd}} {{.Comment}}', 'again:2'])
  expect(inspected.stdout).toBe('["/hello.txt"] made\n')
  await tsbuild(directory, ['export', '-o', 'files.tar', 'again:2'])
  expect(await checkTool('tar', ['-xOf', directory.join('files.tar'), 'hello.txt'])).toBe('hello\n')
  const refused = await tsbuild(directory, ['import', '-c', 'RUN x', 'files.tar'])
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('RUN is not a valid change command') })
})

describe('copy', () => {
  test('writes the digest where it is asked to', async () => {
    await using directory = await temporaryDirectory()
    await withImage(directory)
    const copied = await tsbuild(directory, ['copy', '-q', '--digestfile', 'd', 'store:app:1', 'oci:layout:1'])
    expect(copied.stdout).toBe(`${readFileSync(directory.join('d'), 'utf8')}\n`)
    const index = JSON.parse(readFileSync(directory.join('layout/index.json'), 'utf8')) as {
      manifests: [{ digest: string }]
    }
    expect(`${index.manifests[0].digest}\n`).toBe(copied.stdout)
  })

  test.each([
    [['--all', '--multi-arch=system'], /contradict each other/],
    [['--platform', 'linux/arm64', '--override-arch', 'arm64'], /say the same/],
    [['--override-variant', 'v7'], /needs --override-arch/],
    [['--dest-compress', '--dest-decompress'], /contradict each other/],
    [['--src-creds', 'secret-without-user'], /^ERROR: invalid argument for --src-creds: a password is missing/],
    [['--src-creds', 'a:b', '--src-no-creds'], /contradict each other/],
    [['--encryption-key', 'jwe:x'], /encrypted images are not supported/],
    [['--sign-by', 'x'], /signatures are not supported/],
  ] as const)('%j is refused', async (flags, message) => {
    await using directory = await temporaryDirectory()
    const result = await tsbuild(directory, ['copy', ...flags, 'store:a', 'dir:b'])
    expect(result.status).toBe(125)
    expect(result.stderr).toMatch(message)
    expect(result.stderr).not.toContain('secret-without-user')
  })
})

describe('--load', () => {
  test('leaves the image in the store, beside other outputs too', async () => {
    await using directory = await temporaryDirectory()
    const context = await writeContext(directory, {
      Dockerfile: 'FROM scratch\nCOPY hello.txt /\n',
      'hello.txt': 'hello\n',
    })
    await tsbuild(directory, ['-q', '--load', '-t', 'one', context])
    await tsbuild(directory, ['-q', '--load', '-o', directory.join('files'), '-t', 'two', context])
    await tsbuild(directory, ['-q', '--load=false', '-o', directory.join('files'), '-t', 'three', context])
    const { stdout } = await tsbuild(directory, ['images', '--format', '{{.Repository}}'])
    expect(stdout.trim().split('\n').toSorted()).toEqual(['one', 'two'])
  })

  test('of an engine that is not there fails before anything is built', async () => {
    await using directory = await temporaryDirectory()
    const context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY none /\n' })
    const env = { DOCKER_HOST: `unix://${directory.join('none.sock')}` }
    writeFileSync(directory.join('none'), '')
    for (const flags of [['--load=docker'], ['-o', 'type=docker']]) {
      const result = await tsbuild(directory, [...flags, '-t', 'x', context], { env })
      expect(result.status).toBe(1)
      expect(result.stderr).toMatch(
        /ERROR: (?:no Docker|neither Docker nor Podman) answers at unix:\/\/.*none\.sock \(ENOENT\)/,
      )
    }
  })
})
