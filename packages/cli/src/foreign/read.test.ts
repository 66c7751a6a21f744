import { describe, expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { writeFile } from 'node:fs/promises'
import { build, images, inspect, pull, push, rmi } from '../flags.ts'
import { registryOptions } from '../common-options.ts'
import type { CommandSpec } from '../flag-types.ts'
import { readForeign } from './read.ts'

const read = (line: string) => readForeign(build, line.split(' '))

function failureOf(spec: CommandSpec, line: string): unknown {
  try {
    readForeign(spec, line.split(' '))
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('a line of kaniko', () => {
  test('has letters of its own for context, file and destination, and pushes', () => {
    const { args, flags } = read('-c /workspace -f Dockerfile.ci -d r.example/a:1 -v debug')
    expect([args, flags.file, flags.tag, flags.push]).toEqual([
      ['/workspace'],
      'Dockerfile.ci',
      ['r.example/a:1'],
      true,
    ])
  })

  test('that says --no-push and --tar-path writes an archive with the name and pushes nothing', () => {
    const { flags } = read('--no-push --tar-path /out/a.tar --destination r.example/a:1 --context .')
    expect(flags).toMatchObject({ push: false, tag: ['r.example/a:1'], output: ['type=docker,dest=/out/a.tar'] })
    expect(read('--tar-path /out/a.tar --destination r.example/a:1 -c .').flags.push).toBe(true)
    expect(read('--no-push=false -d a -c .').flags.push).toBe(true)
  })

  test('may want its log without colours, or with them: it has what the place of the log calls for', () => {
    expect(read('--log-format=text --no-push -c .').flags.progress).toBeUndefined()
    expect(read('--log-format color --no-push -c .').flags.progress).toBeUndefined()
    expect(failureOf(build, '--log-format json --no-push -c .')).toMatchObject({
      hint: expect.stringContaining('--progress=rawjson'),
    })
  })

  test('that trusts a registry is about those of its destinations alone', () => {
    const insecure = (line: string) => read(line).flags['insecure-registry']
    expect(insecure('--insecure -d r.example:5000/a:1 -d s/b --context .')).toEqual(['r.example:5000', 'docker.io'])
    expect(insecure('--skip-tls-verify=false -d r.example:5000/a --context .')).toEqual([])
    expect(insecure('--insecure-pull -d r.example/a --context .')).toEqual(['*'])
  })

  test('may have a tar as its context, and ask for errors alone', () => {
    expect(read('--context tar:///work/c.tar.gz -d a').args).toEqual(['tar:///work/c.tar.gz'])
    expect(read('-v error -c dir:///w -d a')).toMatchObject({ args: ['/w'], flags: { quiet: true } })
  })
})

test('a weight of processors stays what it is: -c with a number', () => {
  expect(read('-c 512 .')).toMatchObject({ args: ['.'], flags: { 'cpu-shares': '512' } })
})

test("buildah's isolation oci is the strongest that there is, and its others are ours or refused", () => {
  expect(read('--isolation oci .').flags.isolation).toBe('auto')
  for (const name of ['rootless', 'chroot']) expect(read(`--isolation ${name} .`).flags.isolation).toBe(name)
  expect(failureOf(build, '--isolation hyperv .')).toMatchObject({ message: expect.stringContaining('"hyperv"') })
})

describe('tsbuild bud', () => {
  const bud = (...words: string[]) => readForeign(build, words, 'bud')

  test('takes the Containerfile before the Dockerfile, and such a file by itself; build takes neither', async () => {
    await using directory = await temporaryDirectory()
    const file = directory.join('Containerfile')
    expect(bud(directory.path).flags.file).toBeUndefined()
    await writeFile(file, 'FROM scratch\n')
    expect(bud(directory.path)).toMatchObject({ args: [directory.path], flags: { file } })
    expect(bud(file)).toMatchObject({ args: [directory.path], flags: { file } })
    expect(bud('-f', 'other', directory.path).flags.file).toBe('other')
    expect(readForeign(build, [directory.path]).flags.file).toBeUndefined()
  })

  test('builds the current directory where it names none', () => {
    expect(bud('-t', 'a').args).toEqual(['.'])
  })
})

describe('commands that speak to registries', () => {
  test.each([
    [pull, 'docker://r.example:5000/a', ['r.example:5000']],
    [push, 'a localhost/b', ['localhost']],
    [pull, 'busybox', ['docker.io']],
  ])('--tls-verify=false is about the registry of the image alone', (spec, line, hosts) => {
    const { flags } = readForeign<typeof pull | typeof push>(spec, ['--tls-verify=false', ...line.split(' ')])
    expect(flags['insecure-registry']).toEqual(hosts)
    expect(readForeign(pull, ['--tls-verify', 'a']).flags['insecure-registry']).toEqual([])
  })

  test('a password on the command line is refused with what to use, and not repeated', () => {
    for (const line of ['--creds me:hunter2 a', '--creds=me:hunter2 a'])
      expect(failureOf(push, line)).toMatchObject({
        message: '--creds is a flag of buildah and podman, which tsbuild does not have',
        hint: expect.stringContaining('--authfile FILE'),
      })
  })

  test('what cannot be done is told with what to use', () => {
    expect(failureOf(pull, '-a name')).toMatchObject({ hint: expect.stringContaining('skopeo list-tags') })
    expect(failureOf(rmi, '-a')).toMatchObject({ hint: expect.stringContaining('tsbuild rmi -f') })
    expect(failureOf(inspect, '--type container a')).toMatchObject({ message: expect.stringContaining('container') })
    expect(readForeign(inspect, ['--type', 'image', 'a']).args).toEqual(['a'])
  })
})

describe('a line that says two things', () => {
  test('is refused where a flag has both values: the last one would count there', () => {
    expect(failureOf(push, '--tls-verify=false --tls-verify=true a r.example/a')).toMatchObject({
      message: '--tls-verify is given as false and as true',
    })
    expect(failureOf(build, '--no-push --no-push=f -d a .')).toMatchObject({ hint: 'give it once' })
    expect(read('--no-push --no-push=1 -d a .').flags.push).toBe(false)
  })

  test('is refused where --no-push stands beside what pushes', () => {
    const line = '-d a --no-push'
    for (const other of ['--push', '--output=type=registry', '-o type=image,push=true', '-o name=b,type=registry'])
      expect(failureOf(build, `${line} ${other} .`)).toMatchObject({
        message: expect.stringContaining('--no-push stands beside'),
      })
    expect(read(`${line} -o type=image,push=false .`).flags.push).toBe(false)
    expect(read('-d a --push=false .').flags.push).toBe(false)
  })
})

test('letters that need no value may stand together, and each counts', () => {
  expect(failureOf(rmi, '-af a')).toMatchObject({ message: expect.stringContaining('-a is a flag of buildah') })
  expect(failureOf(images, '-nf dangling=true')).toMatchObject({ message: expect.stringContaining('-n is a flag of') })
  expect(readForeign(inspect, ['-sf', '{{.ID}}', 'a'])).toMatchObject({ args: ['a'], flags: { format: '{{.ID}}' } })
})

describe('outputs of a line of another builder', () => {
  const outputs = (line: string) => [read(line).flags.output, read(line).flags.push]

  test('have what its flags say of every image', () => {
    expect(outputs('--timestamp 100 --format docker .')).toEqual([
      ['type=image,rewrite-timestamp=true,oci-mediatypes=false'],
      false,
    ])
    expect(read('--timestamp 100 .').flags['source-date-epoch']).toBe('100')
    expect(outputs('-d r.example/a --compression zstd --compression-level=3 --tar-path a.tar -c .')).toEqual([
      [
        'type=docker,dest=a.tar,compression=zstd,compression-level=3',
        'type=image,push=true,compression=zstd,compression-level=3',
      ],
      true,
    ])
  })

  test('that write files alone have none of it', () => {
    expect(outputs('-o out --compression-format zstd .')).toEqual([['out'], false])
  })

  test('a compression that nobody knows is refused', () => {
    expect(failureOf(build, '--compression lz4 -d a -c .')).toMatchObject({ hint: 'gzip or zstd' })
  })
})

describe('a repository as the context of kaniko', () => {
  const context = (line: string) => read(`-d a ${line}`).args

  test('is fetched by https, with its .git and without submodules', () => {
    const head = 'https://git.example/team/app.git?keep-git-dir=true&submodules=false'
    expect(context('--context git://git.example/team/app')).toEqual([head])
    expect(context('--context git://git.example/team/app.git#refs/heads/main')).toEqual([`${head}#refs/heads/main`])
    expect(context('--context git://git.example/team/app.git#refs/heads/main#c0ffee')).toEqual([`${head}#c0ffee`])
    expect(context('--context git://git.example/team/app --git branch=dev --context-sub-path web')).toEqual([
      `${head}#dev:web`,
    ])
    expect(context('--context git://git.example/team/app --git recurse-submodules=true --git depth=1')).toEqual([
      'https://git.example/team/app.git?keep-git-dir=true',
    ])
  })

  test('may not be fetched without a certificate', () => {
    expect(failureOf(build, '--git insecure-skip-tls=true -d a -c git://g.example/a')).toMatchObject({
      message: expect.stringContaining('--git'),
    })
  })
})

test('a path below the context counts behind dir://, and is refused where it would be dropped', () => {
  expect(read('-d a -c dir:///w --context-sub-path=web').args).toEqual(['/w/web'])
  expect(failureOf(build, '-d a -c /w --context-sub-path=web')).toMatchObject({ hint: '--context=/w/web' })
  expect(failureOf(build, '-d a -c tar:///w/c.tgz --context-sub-path=web')).toMatchObject({
    hint: 'unpack it, and name the directory',
  })
})

test('a Dockerfile of kaniko is looked for where it runs, then in the context', async () => {
  await using directory = await temporaryDirectory()
  await writeFile(directory.join('Dockerfile.ci'), 'FROM scratch\n')
  expect(read(`-d a -c ${directory.path} -f Dockerfile.ci`).flags.file).toBe(directory.join('Dockerfile.ci'))
})

test('os, arch and variant of buildah are one platform', () => {
  expect(read('--arch arm --variant v7 .').flags.platform).toEqual(['linux/arm/v7'])
  expect(failureOf(build, '--arch arm64 --platform linux/amd64 .')).toMatchObject({ hint: 'leave them out' })
})

test('a file of arguments counts less than the flag, and its comments are none', async () => {
  await using directory = await temporaryDirectory()
  await writeFile(directory.join('args'), '# of the build\nA=1\n\n B=two words \n')
  const line = ['--build-arg', 'A=2', '--build-arg-file', directory.join('args'), '.']
  expect(readForeign(build, line).flags['build-arg']).toEqual(['A=1', 'B=two words', 'A=2'])
})

test('a volume of buildah is a context and a mount of every step, which never writes to it', () => {
  const { flags } = read('-v /srv/m2:/root/.m2:ro,Z --volume=/etc/hosts:/h:O .')
  expect(flags['build-context']).toEqual(['volume-0=/srv/m2', 'volume-1=/etc'])
  expect(flags.mount).toEqual([
    'type=bind,from=volume-0,source=/,target=/root/.m2',
    'type=bind,from=volume-1,source=/hosts,target=/h,rw',
  ])
  expect(failureOf(build, '-v /a:/b:ro,U .')).toMatchObject({ message: expect.stringContaining('the option U') })
})

test('squash joins all layers for buildah, and the new ones for podman, kaniko and Docker', () => {
  const squash = (words: string[], calledAs?: string) => {
    const { flags } = readForeign(build, words, calledAs)
    return [flags.squash, flags['squash-all']]
  }
  expect(squash(['--squash', '.'], 'bud')).toEqual([false, true])
  expect(squash(['--layers=false', '.'], 'bud')).toEqual([true, false])
  expect(squash(['--squash', '.'], 'podman build')).toEqual([true, false])
  expect(squash(['--single-snapshot', '--no-push', '-c', '.'], 'executor')).toEqual([true, false])
})

test('certificates of kaniko, and pauses of buildah, are flags of every command that asks a registry', () => {
  const line = '--registry-certificate r.example=/c/ca.pem --registry-client-cert r.example=/c/a.pem,/c/a.key -d a -c .'
  expect(read(line).flags['registry-certificate']).toEqual(['r.example=/c/ca.pem', 'r.example=/c/a.pem,/c/a.key'])
  const retryDelay = (text: string) => registryOptions(read(`--retry-delay ${text} .`).flags).retryDelayMs
  expect([retryDelay('2s'), retryDelay('500ms'), retryDelay('3')]).toEqual([2000, 500, 3000])
  expect(() => retryDelay('soon')).toThrow('invalid argument "soon" for --retry-delay')
})

test('isolation chroot of buildah, called by its name, is the strongest that works; of tsbuild it is chroot', () => {
  const isolation = (calledAs?: string) => readForeign(build, ['--isolation=chroot', '.'], calledAs).flags.isolation
  expect([isolation('buildah build'), isolation('podman build'), isolation('bud'), isolation()]).toEqual([
    'auto',
    'auto',
    'chroot',
    'chroot',
  ])
})

test('a cache repository of kaniko is a cache in a registry, which counts with --cache alone', () => {
  const caches = (line: string) => {
    const { flags } = read(`--no-push -c . ${line}`)
    return [flags['cache-from'], flags['cache-to']]
  }
  expect(caches('--cache=true --cache-repo r.example/cache')).toEqual([
    ['type=registry,ref=r.example/cache'],
    ['type=registry,ref=r.example/cache,mode=max'],
  ])
  expect(caches('--cache --no-push-cache --cache-repo r.example/cache')).toEqual([
    ['type=registry,ref=r.example/cache'],
    [],
  ])
  expect(caches('--cache --cache-repo oci:/c')[1]).toEqual(['type=local,dest=/c,mode=max'])
  expect(caches('--cache-repo r.example/cache')).toEqual([[], []])
})

test('a map of registries of kaniko is a mirror for each', () => {
  expect(read('--registry-map docker.io=m.example;quay.io=m.example/q -d a -c .').flags['registry-mirror']).toEqual([
    'docker.io=m.example',
    'quay.io=m.example/q',
  ])
})

test('a list of buildah is the name of several platforms', () => {
  expect(read('--manifest l --platform linux/amd64,linux/arm64 .').flags.tag).toEqual(['l'])
  expect(failureOf(build, '--manifest l .')).toMatchObject({ message: '--manifest=l: one image is no list' })
})

test('the login of a context that is not taken is not repeated', () => {
  expect(failureOf(build, '--context=s3://id:hunter2@bucket/x')).toMatchObject({
    message: expect.not.stringContaining('hunter2'),
  })
  // kaniko fetches it by https, git by a protocol of its own that would send the token to whoever answers there.
  expect(failureOf(build, '--context git://hunter2@git.example/a -d a')).toMatchObject({
    message: expect.stringContaining('--context=git://***@git.example/a'),
    hint: expect.stringContaining('https://HOST/REPOSITORY.git'),
  })
})

test('a registry whose name has capitals is the one that is trusted, and not the default one', () => {
  expect(readForeign(pull, ['--tls-verify=false', 'Registry/a']).flags['insecure-registry']).toEqual(['registry'])
})
