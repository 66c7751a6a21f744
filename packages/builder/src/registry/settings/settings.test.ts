import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { resolveOptions } from '../options.ts'
import { loadSettings, settingsFiles } from '../settings-files.ts'
import type { RegistrySettings } from './types.ts'

async function write(directory: TemporaryDirectory, name: string, text: string): Promise<string> {
  await mkdir(dirname(directory.join(name)), { recursive: true })
  await writeFile(directory.join(name), text)
  return directory.join(name)
}

async function settingsOf(text: string, mirrors: readonly string[] = []): Promise<RegistrySettings> {
  await using directory = await temporaryDirectory()
  const registriesConf = await write(directory, 'settings', text)
  return (await loadSettings(resolveOptions({ registriesConf, mirrors })))!
}

/** Where a name is read from, insecure ones with a mark. */
async function sourcesOf(text: string, name: string, isDigest = false, mirrors: readonly string[] = []) {
  const rule = (await settingsOf(text, mirrors)).ruleFor(name, isDigest)
  return rule?.sources.map((source) => `${source.name}${source.isInsecure ? ' !' : ''}`)
}

describe('registries.conf', () => {
  // The example of containers-registries.conf(5).
  const example = `
    unqualified-search-registries = ["example.com"]
    [[registry]]
    prefix = "example.com/foo"
    insecure = false
    blocked = false
    location = "internal-registry-for-example.com/bar"
    [[registry.mirror]]
    location = "example-mirror-0.local/mirror-for-foo"
    [[registry.mirror]]
    location = "example-mirror-1.local/mirrors/foo"
    insecure = true
    [[registry]]
    location = "registry.com"
    [[registry.mirror]]
    location = "mirror.registry.com"
  `

  test("the manual's example reads as the manual says", async () => {
    expect(await sourcesOf(example, 'example.com/foo/image')).toEqual([
      'example-mirror-0.local/mirror-for-foo/image',
      'example-mirror-1.local/mirrors/foo/image !',
      'internal-registry-for-example.com/bar/image',
    ])
    expect(await sourcesOf(example, 'registry.com/a/b')).toEqual(['mirror.registry.com/a/b', 'registry.com/a/b'])
  })

  test('a prefix ends where a part of the name ends, and the longest one counts', async () => {
    const text = `
      [[registry]]
      location = "example.com"
      [[registry]]
      prefix = "example.com/team"
      location = "elsewhere.example/team"
    `
    expect(await sourcesOf(text, 'example.com/team/app')).toEqual(['elsewhere.example/team/app'])
    expect(await sourcesOf(text, 'example.com/teams/app')).toEqual(['example.com/teams/app'])
    expect(await sourcesOf(text, 'example.com.evil/team/app')).toBeUndefined()
    expect(await sourcesOf(text, 'example.com:5000/team/app')).toBeUndefined()
  })

  test.each([
    ['a.example.com/app', 'mirror.lan/app'],
    ['a.b.example.com:5000/app', 'mirror.lan:5000/app'],
    ['example.com/app', undefined],
    ['aexample.com/app', undefined],
    ['other.org/x.example.com/app', undefined],
  ])('*.example.com is for the hosts below that: %s', async (name, expected) => {
    const text = '[[registry]]\nprefix = "*.example.com"\nlocation = "mirror.lan"\n'
    expect(await sourcesOf(text, name)).toEqual(expected === undefined ? undefined : [expected])
  })

  test('a wildcard without a location leaves the name as it is', async () => {
    const text = '[[registry]]\nprefix = "*.example.com"\ninsecure = true\n'
    expect(await sourcesOf(text, 'a.example.com/app')).toEqual(['a.example.com/app !'])
  })

  test('mirrors may be for digests or for tags alone', async () => {
    const text = `
      [[registry]]
      location = "docker.io"
      mirror = [ { location = "d.lan", pull-from-mirror = "digest-only" }, { location = "t.lan", pull-from-mirror = "tag-only" }, { location = "a.lan" } ]
      [[registry]]
      location = "quay.io"
      mirror-by-digest-only = true
      mirror = [{location = "q.lan"}]
    `
    expect(await sourcesOf(text, 'docker.io/library/x', true)).toEqual([
      'd.lan/library/x',
      'a.lan/library/x',
      'docker.io/library/x',
    ])
    expect(await sourcesOf(text, 'docker.io/library/x')).toEqual([
      't.lan/library/x',
      'a.lan/library/x',
      'docker.io/library/x',
    ])
    expect(await sourcesOf(text, 'quay.io/x')).toEqual(['quay.io/x'])
    expect(await sourcesOf(text, 'quay.io/x', true)).toEqual(['q.lan/x', 'quay.io/x'])
  })

  test('what is blocked says so, and by which file', async () => {
    const settings = await settingsOf('[[registry]]\nlocation = "bad.example"\nblocked = true\n')
    expect(settings.ruleFor('bad.example/a', false)).toMatchObject({
      isBlocked: true,
      file: expect.stringMatching(/settings$/),
    })
  })

  test.each([
    ['[[registry]]\n', 'neither location nor prefix'],
    ['[[registry]]\nprefix = "a.example"\n', 'has no location'],
    ['[[registry]]\nlocation = "https://a.example"\n', 'no HOST'],
    ['[[registry]]\nlocation = "a.example"\ninsecure = "yes"\n', 'insecure is to be true or false'],
    ['[[registry]]\nprefix = "*.example.com/x"\nlocation = "a"\n', '*.example.com'],
    ['[[registry]]\nlocation = "a"\n[[registry.mirror]]\n', 'has no location'],
    [
      '[[registry]]\nlocation = "a"\nmirror-by-digest-only = true\nmirror = [{location="b", pull-from-mirror="all"}]\n',
      'contradicts',
    ],
    [
      '[[registry]]\nlocation = "a"\nmirror = [{location="b", pull-from-mirror="some"}]\n',
      'all, digest-only or tag-only',
    ],
    ['[[registry]]\nlocation = "a"\npull-from-mirror = "all"\n', 'outside of'],
    ['[registries.insecure]\nregistries = ["a"]\n', 'version 1'],
    ['a = 1\nlocation = \n', 'line 2'],
    ['{"registry-mirrors": 5}', 'list of texts'],
    ['{"registry-mirrors": ', 'no JSON object'],
    ['[registry."docker.io"]\nmirrors = "a"\n', 'list of texts'],
  ])('%j is refused with the file and the reason', async (text, reason) => {
    await expect(settingsOf(text)).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: expect.stringMatching(new RegExp(`settings: .*${reason.replaceAll('*', '\\*')}`)),
    })
  })
})

test('buildkitd.toml: mirrors, what is said of each in its own table, and certificates', async () => {
  // The example of BuildKit's documentation.
  const text = `
    debug = true
    [registry."docker.io"]
      mirrors = ["yourmirror.local:5000", "core.harbor.domain/proxy.docker.io"]
      http = true
      insecure = true
      ca=["/etc/config/myca.pem"]
      [[registry."docker.io".keypair]]
        key="/etc/config/key.pem"
        cert="/etc/config/cert.pem"
    [registry."yourmirror.local:5000"]
      http = true
  `
  expect(await sourcesOf(text, 'docker.io/library/busybox')).toEqual([
    'yourmirror.local:5000/library/busybox !',
    'core.harbor.domain/proxy.docker.io/library/busybox',
    'docker.io/library/busybox !',
  ])
  expect((await settingsOf(text)).certificatesOf('docker.io')).toEqual({
    authorities: ['/etc/config/myca.pem'],
    pairs: [{ key: '/etc/config/key.pem', certificate: '/etc/config/cert.pem' }],
  })
})

test('daemon.json: mirrors are those of Docker Hub, insecure registries are named', async () => {
  const text =
    '{"registry-mirrors": ["https://m.example", "http://n.example:5000/"], "insecure-registries": ["r.lan:5000", "10.0.0.0/8"]}'
  expect(await sourcesOf(text, 'docker.io/library/busybox')).toEqual([
    'm.example/library/busybox',
    'n.example:5000/library/busybox !',
    'docker.io/library/busybox',
  ])
  expect(await sourcesOf(text, 'r.lan:5000/app')).toEqual(['r.lan:5000/app !'])
  expect(await sourcesOf(text, 'quay.io/app')).toBeUndefined()
})

test('mirrors of the command line go before those of the files, whose other words stay', async () => {
  const text = '[[registry]]\nlocation = "r.lan"\ninsecure = true\nmirror = [{location = "file.lan"}]\n'
  const words = ['hub.lan', 'r.lan=http://word.lan/x', 'index.docker.io=a.lan;quay.io=b.lan']
  expect(await sourcesOf(text, 'r.lan/app', false, words)).toEqual(['word.lan/x/app !', 'file.lan/app', 'r.lan/app !'])
  expect(await sourcesOf(text, 'docker.io/library/x', false, words)).toEqual([
    'hub.lan/library/x',
    'a.lan/library/x',
    'docker.io/library/x',
  ])
  expect(await sourcesOf(text, 'quay.io/x', false, words)).toEqual(['b.lan/x', 'quay.io/x'])
})

describe('the files of settings', () => {
  const filesIn = (directory: TemporaryDirectory, environment: Record<string, string> = {}) =>
    settingsFiles(resolveOptions({ environment: { HOME: directory.path, ...environment } }))
      // What else this machine has is not the user's.
      .map((file) => [file.path, ...file.dropIns].filter((path) => path.startsWith(directory.path)))
      .filter((paths) => paths.length > 0)

  test("are the user's with their drop-ins in order, BuildKit's and Docker's", async () => {
    await using directory = await temporaryDirectory()
    const own = await write(directory, '.config/containers/registries.conf', '')
    const second = await write(directory, '.config/containers/registries.conf.d/20-b.conf', '')
    const first = await write(directory, '.config/containers/registries.conf.d/10-a.conf', '')
    await write(directory, '.config/containers/registries.conf.d/notes.txt', '')
    const buildkit = await write(directory, '.config/buildkit/buildkitd.toml', '')
    const docker = await write(directory, '.config/docker/daemon.json', '{}')
    expect(filesIn(directory)).toEqual([[own, first, second], [buildkit], [docker]])
  })

  test('a file that is named is the only one', async () => {
    await using directory = await temporaryDirectory()
    await write(directory, '.config/containers/registries.conf', '')
    const named = await write(directory, 'mine.conf', '')
    expect(filesIn(directory, { CONTAINERS_REGISTRIES_CONF: named })).toEqual([[named]])
  })

  test('files that say nothing of registries are not even read as what they are', async () => {
    await using directory = await temporaryDirectory()
    // As Debian has them; and what is broken in them is not ours to tell.
    await write(directory, '.config/containers/registries.conf', '# [[registry]]\nshort-name-mode = "enforcing"\n')
    await write(
      directory,
      '.config/containers/registries.conf.d/a.conf',
      '[aliases]\n"registry" = "docker.io/library/registry"\n"fedora" =\n',
    )
    await write(directory, '.config/docker/daemon.json', '{"debug": true')
    expect(await loadSettings(resolveOptions({ environment: { HOME: directory.path } }))).toBeUndefined()
  })

  test('a file that is named and is not there is told', async () => {
    const registriesConf = '/nonexistent/registries.conf'
    await expect(loadSettings(resolveOptions({ registriesConf }))).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: expect.stringContaining(registriesConf),
    })
  })

  test('a drop-in replaces what the file says of a prefix; of two files the first that says something counts', async () => {
    await using directory = await temporaryDirectory()
    await write(
      directory,
      '.config/containers/registries.conf',
      '[[registry]]\nlocation="a.lan"\n[[registry]]\nlocation="b.lan"\n',
    )
    await write(
      directory,
      '.config/containers/registries.conf.d/x.conf',
      '[[registry]]\nprefix="a.lan"\nlocation="c.lan"\n',
    )
    await write(
      directory,
      '.config/buildkit/buildkitd.toml',
      '[registry."a.lan"]\nhttp=true\n[registry."d.lan"]\nhttp=true\n',
    )
    const settings = (await loadSettings(resolveOptions({ environment: { HOME: directory.path } })))!
    const names = ['a.lan', 'b.lan', 'd.lan'].map((host) => settings.ruleFor(`${host}/x`, false)?.sources[0])
    expect(names).toEqual([
      { name: 'c.lan/x', isInsecure: false },
      { name: 'b.lan/x', isInsecure: false },
      { name: 'd.lan/x', isInsecure: true },
    ])
  })
})
