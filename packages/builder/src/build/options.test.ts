import { describe, expect, test } from '@jest/globals'
import { checkOptions } from './options.ts'
import type { BuildOptions } from './public-types.ts'

test.each([
  ['nofile=1024', { name: 'nofile', soft: 1024, hard: 1024 }],
  ['nproc=-1:-1', { name: 'nproc', soft: -1, hard: -1 }],
  ['core=0:9223372036854775807', { name: 'core', soft: 0, hard: 2 ** 63 }],
])('a limit %s is read', (text, limit) => {
  expect(checkOptions({ context: '.', ulimits: [text] }).ulimits).toEqual([limit])
})

test.each(['nofile=9223372036854775808', 'nproc=1:99999999999999999999999', 'nproc=-9223372036854775809'])(
  'a limit %s, which 64 bits do not hold, is refused by name',
  (text) => {
    expect(() => checkOptions({ context: '.', ulimits: [text] })).toThrow(`invalid ulimit argument: ${text}: `)
  },
)

test.each([
  ['linux/amd46', 'unknown architecture "amd46" in platform linux/amd46', 'did you mean linux/amd64?'],
  ['linx/arm64', 'unknown operating system "linx" in platform linx/arm64', 'did you mean linux/arm64?'],
  ['amd46', '"amd46": unknown operating system or architecture: invalid argument', 'did you mean amd64?'],
  ['linux/quantum', 'unknown architecture "quantum" in platform linux/quantum', expect.stringContaining('riscv64')],
])('a platform %s that there is not is refused with the one that was meant', (platform, message, hint) => {
  expect(() => checkOptions({ context: '.', platform })).toThrow(expect.objectContaining({ message, hint }))
})

test.each([
  ['linux/arm/v7', { os: 'linux', architecture: 'arm', variant: 'v7' }],
  ['linux/arm', { os: 'linux', architecture: 'arm', variant: 'v7' }],
  ['arm', { os: 'linux', architecture: 'arm', variant: 'v7' }],
  ['linux/arm64/v8', { os: 'linux', architecture: 'arm64' }],
  ['linux/x86_64', { os: 'linux', architecture: 'amd64' }],
  ['linux/aarch64', { os: 'linux', architecture: 'arm64' }],
  ['macos/arm64', { os: 'darwin', architecture: 'arm64' }],
  ['windows(10.0.17763)/amd64', { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763' }],
])('a platform %s is taken, in the one spelling that TARGETPLATFORM has', (platform, expected) => {
  expect(checkOptions({ context: '.', platform }).platforms[0]).toEqual(expected)
})

test('the platform local is that of the machine', () => {
  expect(checkOptions({ context: '.', platform: 'local' }).platforms).toEqual(checkOptions({ context: '.' }).platforms)
})

test.each(['UPPER', 'UPPER/x', 'x/UPPER', 'host.example/x/UPPER:1', 'Team/app:v1'])(
  'a name %s with capitals is refused before anything is built, in the words of Docker',
  (tag) => {
    expect(() => checkOptions({ context: '.', tags: [tag] })).toThrow(
      `invalid tag "${tag}": repository name must be lowercase`,
    )
  },
)

test('the name in lower case that was probably meant is proposed', () => {
  const hintOf = (tag: string): unknown => {
    try {
      return checkOptions({ context: '.', tags: [tag] })
    } catch (error) {
      return (error as { hint?: unknown }).hint
    }
  }
  expect(hintOf('Team/My App:RC1')).toBe('as in team/my-app:RC1')
  expect(hintOf('host.example:5000/App')).toBe('as in host.example:5000/app')
})

test.each(['Host.example/x:1', 'HOST:5000/x', 'x:V1', 'localhost/x:A'])(
  'a name %s is taken, as Docker takes it',
  (tag) => {
    expect(checkOptions({ context: '.', tags: [tag] }).names).toHaveLength(1)
  },
)

test.each([
  [{ tags: 'my-app' }, 'the option tags has to be a list of texts, not a text', 'tags: ["my-app"]'],
  [{ output: [] }, 'unknown option output', 'did you mean outputs?'],
  [{ buildargs: {} }, 'unknown option buildargs', 'did you mean buildArgs?'],
  [{ noCash: true }, 'unknown option noCash', expect.stringContaining('noCache')],
  [
    { buildArgs: ['A=1'] },
    'the option buildArgs has to be a record of texts, not such a list',
    "buildArgs: { NAME: 'value' }",
  ],
  [
    { buildArgs: { A: 1 } },
    'the option buildArgs has to be a record of texts, not such an object',
    "buildArgs: { NAME: 'value' }",
  ],
  [
    { outputs: ['type=oci'] },
    'the option outputs has to be a list of records, not such a list',
    "outputs: [{ type: 'oci', dest: 'my-app.tar' }]",
  ],
  [
    { cacheFrom: ['user/app:cache'] },
    'the option cacheFrom has to be a list of records, not such a list',
    "cacheFrom: [{ type: 'registry', ref: 'user/app:cache' }]",
  ],
  [{ noCache: 'false' }, 'the option noCache has to be true or false, not a text', undefined],
  [{ target: null }, 'the option target has to be a text, not null', undefined],
])('options %j, which mean nothing, are refused by name', (given, message, hint) => {
  const options = { context: '.', ...given } as unknown as BuildOptions
  expect(() => checkOptions(options)).toThrow(expect.objectContaining({ code: 'OCI_OPTION_INVALID', message, hint }))
})

describe('names and limits of steps', () => {
  // The words of `docker buildx build`.
  test.each([
    [{ addHosts: ['bad'] }, 'invalid host bad'],
    [{ addHosts: ['x:notip'] }, 'invalid host x:notip'],
    [{ addHosts: ['x:'] }, 'invalid host x:'],
    [{ ulimits: ['foo=1'] }, 'invalid ulimit type: foo'],
    [{ ulimits: ['nofile=10:5'] }, 'ulimit soft limit must be less than or equal to hard limit: 10 > 5'],
    [{ ulimits: ['nofile=-1:5'] }, 'ulimit soft limit must be less than or equal to hard limit: -1 > 5'],
  ])('%j are refused', (options, message) => {
    expect(() => checkOptions({ context: '.', ...options })).toThrow(message)
  })

  test('what stands for this machine is left to the network of the step', () => {
    const { extraHosts } = checkOptions({ context: '.', addHosts: ['a=[::1]', 'gw:host-gateway'] })
    expect(extraHosts).toEqual([
      { host: 'a', ip: '::1' },
      { host: 'gw', ip: 'host-gateway' },
    ])
  })
})

describe('limits of steps', () => {
  const checked = (resources: BuildOptions['resources']) => checkOptions({ context: '.', resources }).resources

  test('are passed on without those that are undefined', () => {
    expect(checked({ memoryBytes: 1024, cpuShares: undefined })).toEqual({ memoryBytes: 1024 })
    expect(checked({ cpuShares: undefined })).toBeUndefined()
  })

  test.each<[BuildOptions['resources'], string]>([
    [{ memoryBytes: 0 }, 'memory must be > 0'],
    [{ memorySwapBytes: 1024 }, 'memory-swap needs memory'],
    [{ memoryBytes: 2048, memorySwapBytes: 1024 }, 'memory-swap counts memory and swap together'],
    [{ cpuQuotaUs: -1 }, 'cpu-quota must be > 0'],
    [{ cpuPeriodUs: 0.5 }, 'cpu-period must be > 0'],
    [{ cpusetCpus: '3-1' }, 'cpuset-cpus must be a list'],
    [{ cpusetMems: 'all' }, 'cpuset-mems must be a list'],
    [{ cgroupParent: 'builds' }, 'cgroup-parent must be an absolute path'],
    [{ cgroupParent: '/a/../../b' }, 'cgroup-parent must be an absolute path'],
    [{ memory: 1 } as never, 'unknown resource memory'],
    [{ memoryBytes: '64m' } as never, 'the resource memoryBytes has to be a number, not a string'],
    [[] as never, 'the option resources has to be an object'],
  ])('%j is refused', (resources, message) => {
    expect(() => checked(resources)).toThrow(message)
  })
})
