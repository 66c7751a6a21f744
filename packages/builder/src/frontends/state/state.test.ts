import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { LoweredImage } from '../../image/lowered.ts'
import type { LowerOptions } from '../types.ts'
import { createTestEnvironment, createTestOptions, lowerText } from '../dockerfile/lower/environment.test.helper.ts'
import { lowerDockerfile } from '../dockerfile/lower/lower.ts'
import { createDocument } from './document.ts'
import { bind, cache, secret, ssh, tmpfs } from './mounts.ts'
import { image, local, scratch } from './state.ts'
import { expand } from './text.ts'
import type { State } from './types.ts'

const BASE = 'registry.example/base:1'
const base = image(BASE)
const other = image(BASE).run('make')

async function lowerState(state: State, options: Partial<LowerOptions> = {}): Promise<LoweredImage> {
  return lowerDockerfile(createDocument(state).parsed, createTestOptions(options), createTestEnvironment())
}

/** A state, and the Dockerfile that it has to equal: `FROM base` is understood, `OTHER` is the stage that it reads. */
const pairs: readonly (readonly [string, State, string])[] = [
  ['run of a text', base.run('echo "$HOME" \\a'), 'RUN echo "$HOME" \\a'],
  ['run of words', base.run(['sh', '-c', 'echo $HOME']), 'RUN ["sh", "-c", "echo $HOME"]'],
  ['run of a script', base.run('#!/bin/python\nprint(1)\n'), 'RUN <<EOF\n#!/bin/python\nprint(1)\nEOF'],
  ['run without network', base.run('a', { network: 'none' }), 'RUN --network=none a'],
  ['run with all rights', base.run('a', { security: 'insecure' }), 'RUN --security=insecure a'],
  ['run with a device', base.run('a', { devices: ['v.com/c=d'] }), 'RUN --device=v.com/c=d,required a'],
  [
    'run with a cache',
    base.run('a', { mounts: [cache('/c', { id: 'x', sharing: 'locked', uid: 1, gid: 2, mode: 0o700 })] }),
    'RUN --mount=type=cache,target=/c,id=x,sharing=locked,uid=1,gid=2,mode=700 a',
  ],
  ['run with a cache of its path', base.run('a', { mounts: [cache('/c')] }), 'RUN --mount=type=cache,target=/c a'],
  [
    'run with secrets',
    base.run('a', { mounts: [secret('s', { required: true }), secret('t', { env: 'T' })] }),
    'RUN --mount=type=secret,id=s,required --mount=type=secret,id=t,env=T a',
  ],
  ['run with an agent', base.run('a', { mounts: [ssh()] }), 'RUN --mount=type=ssh a'],
  [
    'run with a tmpfs',
    base.run('a', { mounts: [tmpfs('/t', { sizeBytes: 4096 })] }),
    'RUN --mount=type=tmpfs,target=/t,size=4096 a',
  ],
  [
    'run with a bind mount',
    base.run('a', { mounts: [bind(other, '/in', { source: '/src' }), bind(other, '/rw', { readonly: false })] }),
    'RUN --mount=from=other,target=/in,source=/src --mount=from=other,target=/rw,rw a',
  ],
  ['copy of paths', base.copy(other, '/d/', { sources: ['/a', 'b*'] }), 'COPY --from=other /a b* /d/'],
  ['copy of all', base.copy(other, '/d'), 'COPY --from=other . /d'],
  [
    'copy with all flags',
    base.copy(other, '/d/', {
      sources: ['/x/./a'],
      owner: 'u:g',
      mode: 'u+x',
      exclude: ['*.md'],
      link: true,
      parents: true,
    }),
    'COPY --from=other --chown=u:g --chmod=u+x --exclude=*.md --link --parents /x/./a /d/',
  ],
  ['copy with a mode', base.copy(other, '/d', { mode: 0o750 }), 'COPY --from=other --chmod=750 . /d'],
  ['copy to a path with a dollar', base.copy(other, '/a$b'), 'COPY --from=other . /a\\$b'],
  ['a link to a layer', base.copy(other, '/d', { link: true }), 'COPY --from=other --link . /d'],
  [
    'add of a URL',
    base.add('https://example.com/a.tar', '/d/', { checksum: `sha256:${'a'.repeat(64)}`, unpack: true, mode: 0o600 }),
    `ADD --checksum=sha256:${'a'.repeat(64)} --unpack --chmod=600 https://example.com/a.tar /d/`,
  ],
  [
    'add of a repository',
    base.add(['https://example.com/a.git#v1'], '/d', { keepGitDir: true, link: true, owner: '1' }),
    'ADD --keep-git-dir --link --chown=1 https://example.com/a.git#v1 /d',
  ],
  [
    'file',
    base.file('/etc/motd', 'hello $HOME\n', { mode: 0o600 }),
    "COPY --chmod=600 <<'motd' /etc/\nhello $HOME\nmotd",
  ],
  ['file in the working directory', base.workdir('/w').file('a', 'x\n'), 'WORKDIR /w\nCOPY <<a ./\nx\na'],
  ['env', base.env('A', 'b c "d" $e \\'), 'ENV A="b c \\"d\\" \\$e \\\\"'],
  ['env of several', base.env({ A: '1', B: '2' }), 'ENV A=1 B=2'],
  ['env with variables', base.env('PATH', expand('/opt:$PATH')), 'ENV PATH=/opt:$PATH'],
  ['label', base.label('a.b', 'c d'), 'LABEL a.b="c d"'],
  ['label of several', base.label({ a: '1', b: '' }), 'LABEL a=1 b='],
  ['arg', base.arg('V', '1').arg('W').run('a'), 'ARG V=1\nARG W\nRUN a'],
  ['args', base.args({ V: '1', W: undefined }).label('v', expand('${V}')), 'ARG V=1 W\nLABEL v=${V}'],
  ['workdir', base.workdir('/a').workdir('b').run('x'), 'WORKDIR /a\nWORKDIR b\nRUN x'],
  ['user', base.user('me:us').run('x').workdir('/home'), 'USER me:us\nRUN x\nWORKDIR /home'],
  ['expose', base.expose(8080), 'EXPOSE 8080'],
  ['expose of several', base.expose('53/udp', 80, '8000-8002'), 'EXPOSE 53/udp 80 8000-8002'],
  ['volume', base.volume('/data', '/my files'), 'VOLUME ["/data", "/my files"]'],
  ['entrypoint and cmd of words', base.entrypoint(['a']).cmd(['b', 'c']), 'ENTRYPOINT ["a"]\nCMD ["b", "c"]'],
  ['entrypoint and cmd of texts', base.entrypoint('a').cmd('b $c'), 'ENTRYPOINT a\nCMD b $c'],
  ['shell', base.shell(['/bin/bash', '-c']).run('x').cmd('y'), 'SHELL ["/bin/bash", "-c"]\nRUN x\nCMD y'],
  ['stop signal', base.stopSignal('SIGQUIT'), 'STOPSIGNAL SIGQUIT'],
  [
    'health check',
    base.healthcheck('curl -f x', {
      intervalMs: 30_000,
      timeoutMs: 500,
      startPeriodMs: 1000,
      startIntervalMs: 2,
      retries: 3,
    }),
    'HEALTHCHECK --interval=30s --timeout=500ms --start-period=1s --start-interval=2ms --retries=3 CMD curl -f x',
  ],
  ['health check of words', base.healthcheck(['a', 'b']), 'HEALTHCHECK CMD ["a", "b"]'],
  ['no health check', base.healthcheck(false), 'HEALTHCHECK NONE'],
  ['trigger', base.onbuild('RUN echo $X'), 'ONBUILD RUN echo $X'],
  ['trigger with a document', base.onbuild('RUN <<EOF\na\nEOF'), 'ONBUILD RUN <<EOF\na\nEOF'],
  ['maintainer', base.maintainer('Me <me@example.com>'), 'MAINTAINER Me <me@example.com>'],
]

describe('a state equals the Dockerfile that says the same', () => {
  test.each(pairs)('%s', async (_, state, text) => {
    const made = await lowerState(state)
    const written = await lowerText(`FROM ${BASE} AS other\nRUN make\nFROM ${BASE}\n${text}\n`)
    expect(made.config).toEqual(written.config)
    expect(made.history).toEqual(written.history)
    // Of the graph: ops, inputs, nothing of names.
    expect(made.edge?.vertex.digest).toBe(written.edge?.vertex.digest)
  })

  test('with a platform of its own', async () => {
    const written = await lowerText(`FROM --platform=linux/arm64 ${BASE}\nRUN a\n`)
    for (const state of [image(BASE, { platform: 'linux/arm64' }).run('a'), base.run('a').platform('linux/arm64')]) {
      const made = await lowerState(state)
      expect([made.platform, made.edge?.vertex.digest]).toEqual([written.platform, written.edge?.vertex.digest])
    }
    const onBuilder = await lowerState(base.platform(expand('$BUILDPLATFORM')).run('a'))
    expect(onBuilder.platform).toEqual({ os: 'linux', architecture: 'amd64' })
  })

  test('arguments are those of the build', async () => {
    const options = { buildArgs: new Map([['V', '2']]) }
    const made = await lowerState(base.arg('V', '1').env('W', expand('$V')), options)
    expect(made.config).toEqual((await lowerText(`FROM ${BASE}\nARG V=1\nENV W=$V\n`, options)).config)
  })
})

describe('a state', () => {
  test('means every text as it is, whatever is in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
        const { config } = await lowerState(scratch().label('l', text).env('E', text))
        expect([config.config.Labels?.['l'], config.config.Env?.at(-1)]).toEqual([text, `E=${text}`])
      }),
      { examples: [['$HOME'], ['a\\'], [`'"`], ['two\nlines'], ['${x:-y}'], ['# no comment'], ['<<EOF']] },
    )
  })

  test('means every path of a mount as it is', async () => {
    const { edge } = await lowerState(base.run('x', { mounts: [cache('/a,b"c $d')] }))
    expect(edge!.vertex.op).toMatchObject({ mounts: [{ dest: '/' }, { dest: '/a,b"c $d' }] })
  })

  test('does not change', async () => {
    const before = await lowerState(base)
    base.env('A', '1').run('x')
    expect((await lowerState(base)).config).toEqual(before.config)
    expect(Object.isFrozen(base)).toBe(true)
  })

  test('that is read in several places is made once', async () => {
    const { edge } = await lowerState(base.copy(other, '/a').copy(other, '/b'))
    const second = edge!.vertex
    const first = second.inputs[0]!.vertex
    expect(second.inputs[1]!.vertex.digest).toBe(first.inputs[1]!.vertex.digest)
    expect(createDocument(base.copy(other, '/a').copy(other, '/b')).parsed.stages).toHaveLength(2)
  })

  test('keeps the user, directory and variables of one step to itself', async () => {
    const options = { user: 'u', cwd: '/w', env: { A: '1' } }
    const { edge, config } = await lowerState(base.run('x', options).run('y'))
    const first = edge!.vertex.inputs[0]!.vertex
    expect(first.op).toMatchObject({ meta: { user: 'u', cwd: '/w', env: expect.arrayContaining(['A=1']) } })
    expect(edge!.vertex.op).toMatchObject({ meta: { user: '', cwd: '/', env: expect.not.arrayContaining(['A=1']) } })
    expect(config.config.User).toBeUndefined()
  })

  test('makes and removes what no instruction does', async () => {
    const { edge, history } = await lowerState(
      scratch().workdir('/w').directory('d', { mode: 0o700, owner: '7' }).remove('/a*'),
    )
    const made = edge!.vertex.inputs[0]!.vertex
    const owner = { user: { id: 7 } }
    expect(made.op).toMatchObject({ actions: [{ action: { kind: 'mkdir', path: '/w/d', mode: 0o700, owner } }] })
    expect(edge!.vertex.op).toMatchObject({ actions: [{ action: { kind: 'rm', path: '/a*', allowWildcard: true } }] })
    expect(history.map((entry) => entry.created_by)).toEqual(['WORKDIR /w', 'DIRECTORY d', 'REMOVE /a*'])
  })

  test('takes the bytes of a file as they are', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
    const { edge } = await lowerState(scratch().file('/bytes', bytes))
    expect(edge!.vertex.inputs[0]!.vertex.op).toMatchObject({ actions: [{ action: { kind: 'mkfile', data: bytes } }] })
  })

  test('is not confused by images that are called as it calls its parts', async () => {
    const tricky = image('state-0').copy(image('local-0').run('a'), '/').copy(local('x'), '/')
    const { parsed, locals } = createDocument(tricky)
    expect(parsed.stages.map(({ name, baseName }) => [name, baseName])).toEqual([
      ['state-x-0', 'local-0'],
      ['', 'state-0'],
    ])
    expect([...locals.keys()]).toEqual(['local-x-1'])
  })

  test('of ten thousand steps is made and read in a moment', () => {
    const before = process.cpuUsage()
    let long = scratch()
    for (let at = 0; at < 10_000; at++) long = long.env(`V${at}`, 'x')
    expect(createDocument(long).parsed.stages[0]!.instructions).toHaveLength(10_000)
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000)
  })

  test('an error names the step', async () => {
    const wrong = lowerState(base.env('A', '1').expose('no-port').cmd('x'))
    await expect(wrong).rejects.toMatchObject({
      message: expect.stringContaining('no-port'),
      location: { file: 'state', startLine: 3 },
      codeFrame: expect.stringMatching(/>>> EXPOSE no-port/),
    })
  })

  test.each([
    ['a directory is no image', () => createDocument(local('.')), 'a local directory is no image'],
    ['a directory is not changed', () => local('.').env('A', '1'), 'can be copied from or mounted, not changed'],
    ['a path is no URL', () => base.add('app.tar', '/'), 'app.tar is no URL'],
    ['a trigger is one instruction', () => base.onbuild('RUN a\nRUN b'), 'more than one instruction'],
    ['patterns and parents', () => base.copy(other, '/', { include: ['*.md'], parents: true }), 'do not go together'],
    ['a file has a name', () => base.file('/etc/', ''), 'names no file'],
    ['a health check waits a millisecond', () => base.healthcheck('x', { intervalMs: 0.5 }), 'intervalMs is 0.5'],
    [
      'a health check does not wait for ever',
      () => base.healthcheck('x', { timeoutMs: Infinity }),
      'timeoutMs is Infinity',
    ],
    [
      'a health check is tried a whole number of times',
      () => base.healthcheck('x', { retries: 1.5 }),
      'retries is 1.5',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message)
  })
})
