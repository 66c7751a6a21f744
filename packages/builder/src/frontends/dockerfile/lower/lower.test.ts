import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { marshalGraph } from '../../../graph/llb.ts'
import type { Edge, Vertex } from '../../../graph/types.ts'
import type { ContainerConfig } from '../../../oci/types.ts'
import { createTestEnvironment, lowerText } from './environment.test.helper.ts'

interface RecordedCase {
  readonly name: string
  readonly dockerfile: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly history: readonly (readonly [createdBy: string, hasLayer: boolean])[]
  readonly config: object
  readonly author?: string
  readonly digests?: readonly string[]
  readonly sources?: readonly object[]
}

// What BuildKit (of Docker 28.5) made of them: config, history, and the digests of its vertices from its provenance.
const CASES = JSON.parse(
  readFileSync(new URL('./buildkit-cases.json', import.meta.url), 'utf8'),
) as readonly RecordedCase[]
const IGNORE_PATTERNS: Readonly<Record<string, readonly string[]>> = {
  'what is read of the context': ['ignored', '!kept'],
}

function vertices(edge: Edge | undefined): Vertex[] {
  const found = new Map<string, Vertex>()
  const visit = (vertex: Vertex): void => {
    for (const input of vertex.inputs) visit(input.vertex)
    found.set(vertex.digest, vertex)
  }
  if (edge !== undefined) visit(edge.vertex)
  return [...found.values()]
}

function names(edge: Edge | undefined): string[] {
  return vertices(edge).map((vertex) => vertex.metadata.name)
}

// Recorded from BuildKit 0.25 with `--platform windows/amd64`.
test('an image for Windows has its shell, its separators and no search path', async () => {
  const dockerfile = 'FROM scratch\nWORKDIR c:\\\\tools\nWORKDIR bin\nENV a=b\nCMD dir\n'
  const { config, history } = await lowerText(dockerfile, { targetPlatform: { os: 'windows', architecture: 'amd64' } })
  expect(config.config).toEqual({
    Env: ['a=b'],
    Cmd: ['cmd', '/S', '/C', 'dir'],
    WorkingDir: '\\tools\\bin',
    ArgsEscaped: true,
  })
  expect(history.map((entry) => entry.created_by)).toEqual([
    'WORKDIR /tools',
    'WORKDIR /tools/bin',
    'ENV a=b',
    'CMD ["cmd" "/S" "/C" "dir"]',
  ])
})

describe('an image is what BuildKit makes of the same file', () => {
  test.each(CASES)(
    '$name',
    async ({ name, dockerfile, buildArgs, labels, history, config, author, digests, sources }) => {
      const patterns = IGNORE_PATTERNS[name]
      const lowered = await lowerText(
        dockerfile,
        { buildArgs: new Map(Object.entries(buildArgs ?? {})), labels: new Map(Object.entries(labels ?? {})) },
        createTestEnvironment({}, patterns === undefined ? {} : { ignorePatterns: patterns }),
      )
      const own = lowered.history.slice(lowered.baseHistoryLength)
      expect(own.map((entry) => [entry.created_by, entry.empty_layer !== true])).toEqual(history)
      expect(own.every((entry) => entry.comment === 'buildkit.dockerfile.v0')).toBe(true)
      expect(lowered.config.config).toEqual(config)
      expect(lowered.config.author).toBe(author)
      if (digests !== undefined)
        expect(
          marshalGraph(lowered.edge)
            .map((op) => op.digest)
            .toSorted(),
        ).toEqual(digests.toSorted())
      if (sources !== undefined) {
        const local = vertices(lowered.edge).flatMap(({ op }) =>
          op.kind === 'source' && op.identifier.startsWith('local://')
            ? [{ identifier: op.identifier, attrs: op.attrs }]
            : [],
        )
        expect(local).toEqual(sources)
      }
    },
  )
})

describe('names of vertices', () => {
  test('count the steps of each stage and show variables', async () => {
    const { edge } = await lowerText(
      'FROM registry.example/base:1 AS build\nARG X=1\nworkdir /a\nRUN echo $X ${Y}\nFROM scratch\nCOPY --from=build /a /b\nADD x /\n',
    )
    expect(names(edge)).toEqual([
      '[build 1/3] FROM registry.example/base:1@sha256:51621868f89f1be248c22467fff7885ab944f507ea9d6d304a1ce95cb986cf34',
      '[build 2/3] WORKDIR /a',
      '[build 3/3] RUN echo 1 ${Y}',
      '[stage-1 1/2] COPY --from=build /a /b',
      '[internal] load build context',
      '[stage-1 2/2] ADD x /',
    ])
  })

  test('leave the stage out when there is only one, and pad numbers', async () => {
    const { edge } = await lowerText(`FROM registry.example/base:1\n${'RUN true\n'.repeat(10)}`)
    expect(names(edge).slice(1, 3)).toEqual(['[ 2/11] RUN true', '[ 3/11] RUN true'])
  })

  test('show the first line of a heredoc and mask secrets of the environment', async () => {
    const { edge } = await lowerText(
      'FROM scratch\nRUN <<E\n echo a\necho b\nE\nRUN --mount=type=secret,id=s,env=S echo $S\n',
    )
    expect(names(edge)).toEqual([
      '[stage-0 1/2] RUN <<E (echo a...)',
      '[stage-0 2/2] RUN --mount=type=secret,id=s,env=S echo ****',
    ])
  })

  test('tell a linked copy and its merge apart', async () => {
    const { edge } = await lowerText('FROM registry.example/base:1\nCOPY --link a /b\n')
    expect(names(edge).slice(-2)).toEqual(['[2/2] COPY --link a /b', '[2/2] LINK COPY --link a /b'])
  })
})

describe('only what the target needs becomes work', () => {
  test('a stage that nothing reads is not resolved', async () => {
    const { edge } = await lowerText('FROM missing.example/x AS unused\nRUN true\nFROM scratch\nCOPY a /\n')
    expect(names(edge)).toEqual(['[internal] load build context', '[stage-1 1/1] COPY a /'])
  })

  test('an empty image has no edge', async () => {
    expect((await lowerText('FROM scratch\nENV a=b\n')).edge).toBeUndefined()
  })

  test('a base image without layers is as scratch', async () => {
    const environment = createTestEnvironment({
      'registry.example/empty:1': { rootfs: { type: 'layers', diff_ids: [] }, history: [] },
    })
    expect((await lowerText('FROM registry.example/empty:1\nENV a=b\n', {}, environment)).edge).toBeUndefined()
  })

  test('paths of the context are those that reachable instructions read', async () => {
    const text = 'FROM scratch AS a\nCOPY x /\nFROM scratch\nCOPY y/z q /\n'
    expect((await lowerText(text)).contextPaths).toEqual(['q', 'y/z'])
    expect((await lowerText(text, { target: 'a' })).contextPaths).toEqual(['x'])
    expect((await lowerText('FROM scratch\nCOPY . /\n')).contextPaths).toEqual(['.'])
    expect((await lowerText('FROM scratch\n')).contextPaths).toBeUndefined()
  })
})

describe('the base', () => {
  const base = (config: ContainerConfig): ReturnType<typeof createTestEnvironment> =>
    createTestEnvironment({ 'registry.example/own:1': { config, author: 'them', history: [{ created_by: 'theirs' }] } })

  test('hands on its config, its author and its history, and never its triggers', async () => {
    const config = {
      User: 'u',
      WorkingDir: '/w',
      Entrypoint: ['e'],
      Labels: { l: '1' },
      OnBuild: ['ENV t=1'],
      Unknown: 1,
    }
    const lowered = await lowerText('FROM registry.example/own:1\n', {}, base(config))
    expect(lowered.config.config).toEqual({
      User: 'u',
      WorkingDir: '/w',
      Entrypoint: ['e'],
      Labels: { l: '1' },
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 't=1'],
    })
    expect(lowered.config.author).toBe('them')
    expect(lowered.history.map((entry) => entry.created_by)).toEqual(['theirs', 'ENV t=1'])
    expect(lowered.baseHistoryLength).toBe(1)
  })

  test('can bring a trigger that reads another image', async () => {
    const environment = createTestEnvironment({
      'registry.example/own:1': { config: { OnBuild: ['COPY --from=registry.example/base:1 /a /b'] } },
    })
    const { edge } = await lowerText('FROM registry.example/own:1\n', {}, environment)
    expect(names(edge).at(-1)).toBe('[2/2] ONBUILD COPY --from=registry.example/base:1 /a /b')
  })

  test('of another architecture decides the image, and is told', async () => {
    const environment = createTestEnvironment({ 'registry.example/arm:1': { architecture: 'arm64' } })
    const lowered = await lowerText('FROM registry.example/arm:1\n', {}, environment)
    expect(lowered.config.architecture).toBe('arm64')
    expect(lowered.warnings.map(({ message }) => message)).toEqual([
      'Base image registry.example/arm:1 was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
    ])
    const asked = await lowerText('FROM registry.example/arm:1\n', { isPlatformRequested: true }, environment)
    expect(asked.config.architecture).toBe('amd64')
  })
})

describe('options', () => {
  test('pull, cache, network, hosts, shared memory and proxies reach the vertices', async () => {
    const { edge } = await lowerText('FROM registry.example/base:1 AS s\nRUN --mount=type=cache,target=/c true\n', {
      pull: true,
      noCacheFilter: ['S'],
      networkMode: 'none',
      extraHosts: [{ host: 'h', ip: '10.0.0.1' }],
      shmSizeBytes: 1024,
      hostname: 'box',
      cacheMountNamespace: 'ns',
      buildArgs: new Map([['https_proxy', 'http://p']]),
    })
    const [image, run] = vertices(edge)
    expect(image?.op).toMatchObject({ attrs: { 'image.resolvemode': 'pull' } })
    expect(run?.metadata.ignoreCache).toBe(true)
    expect(run?.op).toMatchObject({
      network: 'none',
      meta: { hostname: 'box', extraHosts: [{ host: 'h', ip: '10.0.0.1' }], proxyEnv: { httpsProxy: 'http://p' } },
      mounts: [
        { dest: '/' },
        { dest: '/c', cache: { id: 'ns//c', sharing: 'shared' } },
        { dest: '/dev/shm', type: 'tmpfs', tmpfsSizeBytes: 1024 },
      ],
    })
  })

  test('build arguments for the builder set the namespace of cache mounts, the host name and the platform in names', async () => {
    const buildArgs = new Map([
      ['BUILDKIT_CACHE_MOUNT_NS', 'mine'],
      ['BUILDKIT_SANDBOX_HOSTNAME', 'box'],
      ['BUILDKIT_MULTI_PLATFORM', '1'],
    ])
    const { edge } = await lowerText(
      'FROM registry.example/base:1\nARG TARGETARCH=arm64\nRUN --mount=type=cache,target=/c true\n',
      { buildArgs },
    )
    expect(edge?.vertex.metadata.name).toBe('[linux/amd64->arm64 stage-0 2/2] RUN --mount=type=cache,target=/c true')
    expect(edge?.vertex.op).toMatchObject({ meta: { hostname: 'box' }, mounts: [{}, { cache: { id: 'mine//c' } }] })
  })

  test('a build argument that nothing declares is no variable', async () => {
    const lowered = await lowerText('FROM registry.example/base:1\nRUN true\n', { buildArgs: new Map([['A', '1']]) })
    expect(lowered.history.at(-1)?.created_by).toBe('RUN /bin/sh -c true # buildkit')
  })

  test('a named context replaces a stage, an image, or one platform of it', async () => {
    const text =
      'FROM registry.example/base:1 AS deps\nRUN true\nFROM scratch\nCOPY --from=deps /a /\nCOPY --from=img /b /\n'
    const { edge } = await lowerText(text, {
      namedContexts: new Map([
        ['deps', 'local:key'],
        ['img::linux/amd64', 'docker-image://registry.example/base:1'],
        ['img', 'local:no'],
      ]),
    })
    expect(
      vertices(edge).map(({ op, metadata }) => [metadata.name, op.kind === 'source' ? op.identifier : op.kind]),
    ).toEqual([
      ['[context deps] load from client', 'local://key'],
      ['[stage-1 1/2] COPY --from=deps /a /', 'file'],
      ['[context img::linux/amd64] registry.example/base:1', 'docker-image://registry.example/base:1'],
      ['[stage-1 2/2] COPY --from=img /b /', 'file'],
    ])
    expect(vertices(edge)[0]?.op).toMatchObject({ attrs: { 'local.followpaths': '["a"]' } })
  })

  test('an image as a named context is told by its tag, as BuildKit does', async () => {
    const named = 'docker-image://registry.example/base:1'
    const text = 'FROM img\nCOPY --from=img2 /bin/true /x\nRUN true\n'
    const namedContexts = new Map([
      ['img', named],
      ['img2', named],
    ])
    const { edge } = await lowerText(text, { namedContexts })
    expect(marshalGraph(edge).map((op) => op.digest)).toEqual([
      'sha256:e1211ba3dbb6d0b290171da39d927e4a52fc1a042dfab957db2873a26b62b33e',
      'sha256:970b178b3fb8e961118133533d1a23450fae15151ee414c5817f2184d90ce958',
      'sha256:867b3b9a56c533317a004e9c36f18df7d8f140fb7e65485a4feba971417de42b',
      'sha256:9e55bf7ad336bc07cc4b8c9b65fc01e6e7ad5a1e9fdca822d34dacf5d66d166b',
    ])
  })

  test('SOURCE_DATE_EPOCH dates the history and the directories that WORKDIR makes', async () => {
    const lowered = await lowerText('FROM scratch\nWORKDIR /a\n', { buildArgs: new Map([['SOURCE_DATE_EPOCH', '1']]) })
    expect(lowered.history.map((entry) => entry.created)).toEqual(['1970-01-01T00:00:01Z'])
    expect(lowered.edge?.vertex.op).toMatchObject({ actions: [{ action: { timestamp: 1e9 } }] })
    expect(lowered.sourceDateEpoch).toBe(1)
  })

  test('SOURCE_DATE_EPOCH can name a stage with one remote ADD', async () => {
    const asked: string[] = []
    const environment = createTestEnvironment(
      {},
      { resolveSourceEpoch: async ({ identifier }) => (asked.push(identifier), Promise.resolve(7)) },
    )
    const text =
      'ARG SOURCE_DATE_EPOCH=when\nFROM scratch AS when\nADD https://files.example/a.tar /\nFROM scratch\nARG SOURCE_DATE_EPOCH\n'
    const lowered = await lowerText(text, {}, environment)
    expect(asked).toEqual(['https://files.example/a.tar'])
    expect(lowered.history.map((entry) => [entry.created, entry.created_by])).toEqual([
      ['1970-01-01T00:00:07Z', 'ARG SOURCE_DATE_EPOCH=7'],
    ])
  })
})

describe('remote sources of ADD', () => {
  test('a repository and a file of the web become sources with what the flags say', async () => {
    const { edge } = await lowerText(
      'FROM scratch\nADD --keep-git-dir https://git.example/a/b.git#v1:sub /g\nADD git@git.example:c/d.git?tag=t&submodules=false /h\nADD --checksum=sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad --unpack https://files.example/x/y.tgz?z /w\n',
    )
    const sources = vertices(edge).flatMap(({ op }) => (op.kind === 'source' ? [[op.identifier, op.attrs]] : []))
    const secrets = { 'git.authtokensecret': 'GIT_AUTH_TOKEN', 'git.authheadersecret': 'GIT_AUTH_HEADER' }
    expect(sources).toEqual([
      [
        'git://git.example/a/b.git#v1:sub',
        { 'git.fullurl': 'https://git.example/a/b.git', 'git.keepgitdir': 'true', ...secrets },
      ],
      [
        'git://git.example/c/d.git#refs/tags/t',
        {
          'git.fullurl': 'git@git.example:c/d.git',
          'git.mountsshsock': 'default',
          'git.skipsubmodules': 'true',
          ...secrets,
        },
      ],
      [
        'https://files.example/x/y.tgz?z',
        {
          'http.checksum': 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
          'http.filename': 'y.tgz',
        },
      ],
    ])
    expect(edge?.vertex.op).toMatchObject({
      actions: [{ action: { src: '/y.tgz', dest: '/w', attemptUnpackDockerCompatibility: true } }],
    })
  })
})

describe('COPY --parents', () => {
  test('becomes patterns, behind the pivot, and requires what has no wildcard', async () => {
    const { edge } = await lowerText('FROM scratch\nCOPY --parents a/b ./x/./y/*.c /d/\n')
    expect(edge?.vertex.op).toMatchObject({
      actions: [
        { action: { src: '/', includePatterns: ['a/b'], requiredPaths: ['/a/b'] } },
        { action: { src: '/x', includePatterns: ['y/*.c'] } },
      ],
    })
  })
})

test('thousands of instructions are lowered in linear time', async () => {
  const lines = Array.from(
    { length: 2000 },
    (_, index) =>
      [`RUN echo ${index}`, `COPY f${index} /d/`, `ENV V${index % 50}=${index}`, 'COPY <<E /e\n$V1\nE'][index % 4],
  )
  const lowered = await lowerText(['FROM registry.example/base:1', ...lines, ''].join('\n'))
  expect(lowered.history.length).toBe(2001)
})
