import { describe, expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { writeFile } from 'node:fs/promises'
import { build } from '../flags.ts'
import { parseArgv } from '../parse-argv.ts'
import type { CommandIo } from '../command-io.ts'
import { parseCache } from './caches.ts'
import { csvFields } from './csv.ts'
import { buildArguments, buildOptions } from './options.ts'
import { parseOutput } from './outputs.ts'
import { parseSecret, parseSsh } from './secrets.ts'

function optionsOf(argv: readonly string[], env: CommandIo['env'] = {}) {
  const { stdin, stdout, stderr } = process
  return buildOptions(parseArgv(build, argv), {
    stdin,
    stdout,
    stderr,
    terminal: stderr,
    env,
    isColored: false,
    signal: new AbortController().signal,
  })
}

test('fields in quotes hold commas', () => {
  expect(csvFields('type=oci,"dest=/a,b",x')).toEqual(['type=oci', 'dest=/a,b', 'x'])
  expect(csvFields('"a""b"')).toEqual(['a"b'])
})

test('what is wrong with a cache is told without the keys to it', () => {
  const keys = 'access_key_id=me,secret_access_key=hidden1,session_token=hidden2,token=hidden3,ghtoken=hidden4'
  const text = `type=s4,${keys},account_url=https://a/?sv=1&sig=hidden5&sp=r,name=a`
  let message = ''
  try {
    parseCache(text, 'cache-to')
  } catch (error) {
    message = (error as Error).message
  }
  expect(message).toContain('unknown type "s4" (did you mean s3?)')
  expect(message).toContain('secret_access_key=***,session_token=***,token=***,ghtoken=***')
  expect(message).toContain('sig=***&sp=r,name=a')
  expect(message).not.toContain('hidden')
})

describe('--output', () => {
  test('a bare path is a directory, a dash a tar on standard output', () => {
    expect(parseOutput('out', true)).toEqual({ type: 'local', dest: 'out' })
    expect(parseOutput('-', false)).toEqual({ type: 'tar', dest: '-' })
  })

  test('attributes are kept as they are', () => {
    expect(parseOutput('type=image,name=a:1,push=true', true)).toEqual({ type: 'image', name: 'a:1', push: 'true' })
  })

  test.each([
    ['type=zip,dest=x', 'unknown type "zip"'],
    ['dest=x,y=z', 'the type is missing'],
    ['type=local', 'dest is missing'],
    ['type=oci,dest', '"dest" is no NAME=VALUE'],
  ])('%s is refused', (text, reason) => {
    expect(() => parseOutput(text, false)).toThrow(reason)
  })

  test('an archive never goes to a terminal', () => {
    expect(() => parseOutput('type=oci', true)).toThrow('refusing to write an archive to the terminal')
    expect(parseOutput('type=oci', false)).toEqual({ type: 'oci', dest: '-' })
  })
})

describe('--secret', () => {
  test('a file, a variable, or whatever has the name of the id', () => {
    expect(parseSecret('id=a,src=/x', {})).toEqual({ id: 'a', file: '/x' })
    expect(parseSecret('id=a,env=B', {})).toEqual({ id: 'a', env: 'B' })
    expect(parseSecret('type=env,id=a', {})).toEqual({ id: 'a', env: 'a' })
    expect(parseSecret('id=a', { a: 'value' })).toEqual({ id: 'a', env: 'a' })
    expect(parseSecret('id=a', {})).toEqual({ id: 'a', file: 'a' })
  })

  test('an error does not repeat the source', () => {
    expect(() => parseSecret('id=a,src=hunter2,x=y', {})).toThrow('invalid argument "id=a,src=…,x=y"')
  })
})

test('--ssh takes the agent or named sockets', () => {
  expect(parseSsh('default')).toEqual({ id: 'default' })
  expect(parseSsh('git=/run/a,/run/b')).toEqual({ id: 'git', paths: ['/run/a', '/run/b'] })
})

describe('the options of a build', () => {
  test('a build argument without a value comes from the environment, or is not passed', () => {
    const { buildArgs } = optionsOf(['--build-arg', 'A', '--build-arg', 'B', '--build-arg', 'C=d=e', '.'], { A: '1' })
    expect(buildArgs).toEqual({ A: '1', C: 'd=e' })
  })

  test('platforms are a list, in one word or in several', () => {
    expect(optionsOf(['--platform', 'linux/amd64,linux/arm64', '--platform', 'linux/riscv64', '.']).platform).toBe(
      'linux/amd64,linux/arm64,linux/riscv64',
    )
    expect(optionsOf(['.']).platform).toBeUndefined()
  })

  test('sizes and numbers are read, and refused when they are none', () => {
    expect(optionsOf(['--shm-size', '64m', '--jobs', '3', '.'])).toMatchObject({ shmSizeBytes: 67_108_864, jobs: 3 })
    expect(() => optionsOf(['--jobs', '0', '.'])).toThrow('invalid argument "0" for --jobs')
  })

  test('an annotation says what it is of', () => {
    expect(optionsOf(['--annotation', 'a=b', '--annotation', 'manifest:c:d=e', '.']).annotations).toEqual({
      a: 'b',
      'manifest:c:d': 'e',
    })
    expect(optionsOf(['--annotation', 'index,manifest-descriptor[linux/arm64]:a=b', '.']).annotations).toEqual({
      'index:a': 'b',
      'manifest-descriptor[linux/arm64]:a': 'b',
    })
    expect(() => optionsOf(['--annotation', 'foo:a=b', '.'])).toThrow('unknown annotation type "foo"')
  })

  test('standard input is read once', () => {
    expect(() => optionsOf(['-f', '-', '-'])).toThrow('cannot both come from standard input')
    expect(optionsOf(['-f', '-', '.']).stdin).toBe(process.stdin)
  })

  test('the time of everything is a whole number of seconds', () => {
    expect(optionsOf(['--source-date-epoch', '0', '.']).sourceDateEpoch).toBe(0)
    expect(() => optionsOf(['--source-date-epoch', 'now', '.'])).toThrow(
      'invalid argument "now" for --source-date-epoch',
    )
  })
})

test('names that every object of JavaScript has are arguments and secrets like others', () => {
  expect(Object.entries(buildArguments(['__proto__=a', 'constructor=b', 'toString', 'hasOwnProperty'], {}))).toEqual([
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ])
  expect(buildArguments(['toString'], { toString: 'c' })).toEqual({ toString: 'c' })
  for (const id of ['constructor', '__proto__']) expect(parseSecret(`id=${id}`, {})).toEqual({ id, file: id })
})

describe("kaniko's and buildah's names of places", () => {
  test('a tar is read as from standard input', async () => {
    await using directory = await temporaryDirectory()
    const file = directory.join('context.tar')
    await writeFile(file, 'bytes')
    const { context, stdin } = optionsOf([`tar://${file}`])
    const chunks: Uint8Array[] = []
    for await (const chunk of stdin!) chunks.push(chunk)
    expect([context, Buffer.concat(chunks).toString()]).toEqual(['-', 'bytes'])
    expect(optionsOf(['tar://stdin'])).toMatchObject({ context: '-', stdin: process.stdin })
    expect(() => optionsOf(['-f', '-', `tar://${file}`])).toThrow('cannot come from standard input')
    expect(() => optionsOf([`tar://${file}.none`])).toThrow('there is no such file')
  })

  test('a place is no name of an image', () => {
    expect(() => optionsOf(['-t', 'docker://r.example/a', '.'])).toThrow('a name has no docker://')
    expect(() => optionsOf(['-t', 'oci-archive:a.tar', '.'])).toThrow('it is a place, not a name')
    expect(optionsOf(['-t', 'oci:1', '.']).tags).toEqual(['oci:1'])
  })
})

describe('limits of steps', () => {
  test("Docker's classic flags and the keys of --resource are one", () => {
    const classic =
      '-m 64m --memory-swap -1 -c 512 --cpu-quota 50000 --cpu-period 100000 --cpuset-cpus 0-1 --cpuset-mems 0'
    const keys = ['memory=64m', 'memory-swap=-1', 'cpu-shares=512', 'cpu-quota=50000', 'cpu-period=100000']
    const sets = ['cpuset-cpus=0-1', 'cpuset-mems=0']
    const limits = {
      memoryBytes: 64 * 1024 * 1024,
      memorySwapBytes: -1,
      cpuShares: 512,
      cpuQuotaUs: 50_000,
      cpuPeriodUs: 100_000,
      cpusetCpus: '0-1',
      cpusetMems: '0',
    }
    expect(optionsOf([...classic.split(' '), '.']).resources).toEqual(limits)
    expect(optionsOf([...[...keys, ...sets].flatMap((text) => ['--resource', text]), '.']).resources).toEqual(limits)
  })

  test('of one that is given in both ways --resource counts, as with buildx', () => {
    expect(optionsOf(['--resource', ' memory = 2g ', '-m', '1g', '.']).resources).toEqual({
      memoryBytes: 2 * 1024 ** 3,
    })
  })

  test('zero asks for nothing', () => {
    expect(optionsOf(['-m', '0', '--cpu-shares', '0', '--cpu-quota=-1', '.']).resources).toBeUndefined()
  })

  test('a cgroup is passed on as it is named', () => {
    expect(optionsOf(['--cgroup-parent', 'builds.slice', '.']).resources).toEqual({ cgroupParent: 'builds.slice' })
  })

  test.each([
    ['--resource=memory', 'invalid resource "memory", expected key=value'],
    ['--resource=gpu=1', 'unknown resource "gpu"'],
    ['--resource=cpu-shares=some', 'invalid value "some" for resource cpu-shares'],
    ['--memory=-2', 'invalid value "-2" for --memory'],
    ['--memory=-1', 'invalid value "-1" for --memory'],
    ['--cpu-period=1.5', 'invalid value "1.5" for --cpu-period'],
  ])('%s is refused', (flag, message) => {
    expect(() => optionsOf([flag, '.'])).toThrow(message)
  })
})
