import { readdirSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  makeBusyboxBase,
  pushBase,
  startRegistry,
  temporaryDirectory,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

const dockerfile = 'FROM scratch\nARG N\nLABEL n=$N\nCOPY hello.txt /\n'

/** Builds a small image; the number makes it another one. Returns its id. */
async function buildNumber(directory: TemporaryDirectory, tag: string, number: number): Promise<string> {
  const context = await writeContext(directory, { Dockerfile: dockerfile, 'hello.txt': 'hello\n' })
  return (await tsbuild(directory, ['-q', '-t', tag, '--build-arg', `N=${number}`, context])).stdout.trim()
}

async function listed(directory: TemporaryDirectory, ...args: readonly string[]): Promise<string[]> {
  const { stdout } = await tsbuild(directory, ['images', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}', ...args])
  return stdout.split('\n').filter((line) => line !== '')
}

function short(id: string): string {
  return id.slice('sha256:'.length, 'sha256:'.length + 12)
}

describe('names of images, as Docker keeps them', () => {
  test('a name that moves to a new image leaves the old one without a name', async () => {
    await using directory = await temporaryDirectory()
    const one = await buildNumber(directory, 'app:1', 1)
    const two = await buildNumber(directory, 'app:1', 2)
    expect((await listed(directory)).toSorted()).toEqual([`<none>:<none> ${short(one)}`, `app:1 ${short(two)}`])
    expect((await tsbuild(directory, ['images', '-q', '--filter', 'dangling=true'])).stdout).toBe(`${short(one)}\n`)
    expect(await listed(directory, '-f', 'dangling=false')).toEqual([`app:1 ${short(two)}`])
    expect((await tsbuild(directory, ['rmi', short(one)])).stdout).toBe(`Deleted: ${one}\n`)
    expect(await listed(directory)).toEqual([`app:1 ${short(two)}`])
  })

  test('an image that does not say when it was made has no age, and still a time when it was named', async () => {
    await using directory = await temporaryDirectory()
    const context = await writeContext(directory, { Dockerfile: 'FROM scratch\n' })
    const startMs = Date.now()
    const flags = ['--rm', '--force-rm=true', '--compress', '-D']
    expect(await tsbuild(directory, [...flags, '-t', 'empty', context])).toMatchObject({ status: 0 })
    expect((await tsbuild(directory, ['images'])).stdout).toMatch(/^empty .* N\/A +0B$/m)
    const json = JSON.parse((await tsbuild(directory, ['images', '--format', 'json'])).stdout) as object
    expect(json).toMatchObject({ CreatedSince: '' })
    const named = await tsbuild(directory, ['inspect', '-f', '{{.Metadata.LastTagTime}}', 'empty'])
    expect(Date.parse(named.stdout.trim())).toBeGreaterThanOrEqual(startMs)
  })

  test('an old name that moves away from an image with others leaves nothing behind', async () => {
    await using directory = await temporaryDirectory()
    const one = await buildNumber(directory, 'app:1', 1)
    await tsbuild(directory, ['tag', 'app:1', 'kept'])
    const two = await buildNumber(directory, 'app:1', 2)
    expect((await listed(directory)).toSorted()).toEqual([`app:1 ${short(two)}`, `kept:latest ${short(one)}`])
  })

  test('images takes a name, with or without a tag, and shows the head of the table alone where it finds none', async () => {
    await using directory = await temporaryDirectory()
    await buildNumber(directory, 'app:1', 1)
    await tsbuild(directory, ['tag', 'app:1', 'app:2'])
    await tsbuild(directory, ['tag', 'app:1', 'other'])
    expect(await listed(directory, 'app')).toHaveLength(2)
    expect(await listed(directory, 'app:2')).toHaveLength(1)
    expect(await listed(directory, '--filter', 'reference=a*:?')).toHaveLength(2)
    expect(await listed(directory, '-a', 'app')).toHaveLength(2)
    expect(await listed(directory, '--filter', 'reference=ot')).toEqual([])
    expect(await tsbuild(directory, ['images', 'none'])).toMatchObject({
      status: 0,
      stdout: 'REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n',
    })
  })

  test('rmi of an id with several names wants to be forced, and then takes all of them', async () => {
    await using directory = await temporaryDirectory()
    const id = await buildNumber(directory, 'app:1', 1)
    await tsbuild(directory, ['tag', 'app:1', 'other:2'])
    const refused = await tsbuild(directory, ['rmi', short(id)])
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain(
      `unable to delete ${short(id)} (must be forced) - image is referenced in multiple repositories`,
    )
    expect(await listed(directory)).toHaveLength(2)
    expect(await tsbuild(directory, ['rmi', '-f', short(id)])).toMatchObject({
      status: 0,
      stdout: `Untagged: app:1\nUntagged: other:2\nDeleted: ${id}\n`,
    })
  })

  test('rmi of several, one of them missing: the others go, and the status is 1', async () => {
    await using directory = await temporaryDirectory()
    await buildNumber(directory, 'a', 1)
    await buildNumber(directory, 'b', 2)
    const removed = await tsbuild(directory, ['rmi', 'a', 'missing', 'b'])
    expect(removed).toMatchObject({ status: 1, stderr: expect.stringContaining('No such image: missing') })
    expect(removed.stdout.match(/^Untagged: /gm)).toHaveLength(2)
    expect(await listed(directory)).toEqual([])
  })

  test('prune takes the end of its input for a no', async () => {
    await using directory = await temporaryDirectory()
    await buildNumber(directory, 'app', 1)
    expect(await tsbuild(directory, ['prune', '-a'], { input: '' })).toMatchObject({ status: 0, stdout: '' })
  })

  test.each([
    [['tag', 'missing', 'x'], 'No such image: missing'],
    [['tag', 'app', 'UPPER'], 'UPPER'],
    [['tag', 'app', `x@sha256:${'0'.repeat(64)}`], 'digest'],
    [['rmi'], 'at least 1 argument'],
    [['history'], 'exactly 1 argument'],
    [['pull', 'in valid'], 'invalid reference format'],
    [['push', '--authfile', '/nope', 'app'], 'there is no auth file /nope'],
  ])('%j is refused', async (args, message) => {
    await using directory = await temporaryDirectory()
    await buildNumber(directory, 'app', 1)
    expect(await tsbuild(directory, args)).toMatchObject({ status: 1, stderr: expect.stringContaining(message) })
    expect(await listed(directory)).toHaveLength(1)
  })
})

describeWith(['root', 'docker-registry', 'skopeo', 'busybox', 'tar'], 'what images and the build cache keep', () => {
  test('prune -af takes the cache and leaves images whole; rmi and prune give back the rest', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const base = await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    const context = await writeContext(directory, {
      Dockerfile: `FROM ${base}\nCOPY hello.txt /\nRUN --mount=type=cache,target=/c head -c 1000000 /dev/urandom > /noise && cp /noise /c/\nRUN rm /noise\n`,
      'hello.txt': 'hello\n',
    })
    const built = (await tsbuild(directory, ['-q', '-t', 'app', context])).stdout.trim()
    const pruned = await tsbuild(directory, ['prune', '-af'])
    expect(pruned.stdout).toMatch(
      // The cache mount alone is given back: what the image shares has an asterisk and stays.
      /^ID\t+RECLAIMABLE\tSIZE\t+LAST ACCESSED\n[^]*\w{25}\* +\ttrue\t+1MB\t[^]*\w{25} +\ttrue\t+0B\*\t[^]*Total:\t1(\.\d+)?MB\n$/,
    )
    // Files of the image are there in whatever form: it exports, and is what it was.
    await checkTool('skopeo', [
      '--insecure-policy',
      'copy',
      `oci:${directory.join('store')}:docker.io/library/app:latest`,
      `dir:${directory.join('copy')}`,
    ])
    expect(
      (
        await tsbuild(directory, [
          '-q',
          '-t',
          'next',
          '-o',
          `type=oci,dest=${directory.join('next.tar')}`,
          await writeContext(directory, { Dockerfile: 'FROM app\nRUN test -e /hello.txt && test ! -e /noise\n' }),
        ])
      ).status,
    ).toBe(0)
    await checkTool('skopeo', ['inspect', `oci-archive:${directory.join('next.tar')}`])
    expect((await tsbuild(directory, ['inspect', '-f', '{{.Id}}', 'app'])).stdout.trim()).toBe(built)
    // Nothing is left to take, but nothing of the image either.
    await tsbuild(directory, ['prune', '-af'])
    expect((await tsbuild(directory, ['prune', '-af'])).stdout).toBe('Total:\t0B\n')
    await tsbuild(directory, ['rmi', '-f', 'app', 'next'])
    expect((await tsbuild(directory, ['prune', '-af'])).stdout).toMatch(/Total:\t\d+(\.\d+)?MB\n$/)
    for (const folder of ['blobs/sha256', 'snapshots', 'tables', 'cache-mounts', 'tmp'])
      expect([folder, readdirSync(directory.join('store', folder))]).toEqual([folder, []])
  })

  test('a step whose cache was pruned runs again; what an image holds is still its base', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const base = await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    const context = await writeContext(directory, {
      Dockerfile: `FROM ${base}\nRUN echo one > /one\nRUN echo two > /two\n`,
    })
    await tsbuild(directory, ['-q', '-t', 'app', context])
    await tsbuild(directory, ['prune', '-af'])
    const again = await tsbuild(directory, ['-t', 'app', context])
    expect(again).toMatchObject({ status: 0, stderr: expect.stringMatching(/RUN echo two > \/two\n(#.*\n)*#\d+ DONE/) })
  })

  test('push and pull carry an image to another store, id and all; a second push sends no blob', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const name = `${registry.host}/team/app:1`
    const id = await buildNumber(directory, name, 1)
    const pushed = await tsbuild(directory, ['push', name])
    const [, digest] = /^1: digest: (sha256:\S+) size: \d+\n$/.exec(pushed.stdout) ?? []
    const before = registry.requests().length
    expect((await tsbuild(directory, ['push', '-q', name])).stdout).toBe(`${name}\n`)
    expect(
      registry
        .requests()
        .slice(before)
        .filter((request) => /^(POST|PATCH|PUT) \S+\/blobs\//.test(request)),
    ).toEqual([])
    const env = { TSBUILD_HOME: directory.join('elsewhere') }
    const pulled = await tsbuild(directory, ['pull', name], { env })
    expect(pulled.stdout).toBe(`Digest: ${digest}\nStatus: Downloaded newer image for ${name}\n${name}\n`)
    expect((await tsbuild(directory, ['inspect', '-f', '{{.Id}} {{json .RepoDigests}}', name], { env })).stdout).toBe(
      `${id} ["${registry.host}/team/app@${digest}"]\n`,
    )
    const byDigest = await tsbuild(directory, ['pull', '-q', `${registry.host}/team/app@${digest}`], { env })
    expect(byDigest).toMatchObject({ status: 0, stdout: `${registry.host}/team/app@${digest}\n` })
    expect(await tsbuild(directory, ['pull', `${registry.host}/none:1`], { env })).toMatchObject({
      status: 1,
      stdout: '',
    })
  })

  test('push --all-tags sends every tag of a name, with the words of Docker', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const name = `${registry.host}/team/tags`
    await buildNumber(directory, `${name}:1`, 1)
    await buildNumber(directory, `${name}:two`, 2)
    await buildNumber(directory, `${registry.host}/team/other:3`, 3)
    const pushed = await tsbuild(directory, ['push', '-a', name])
    const [, one, two] = /^1: digest: (\S+) size: \d+\ntwo: digest: (\S+) size: \d+\n$/.exec(pushed.stdout) ?? []
    for (const [tag, digest] of [
      ['1', one],
      ['two', two],
    ])
      expect(
        JSON.parse(await checkTool('skopeo', ['inspect', '--tls-verify=false', `docker://${name}:${tag}`])),
      ).toMatchObject({ Digest: digest, RepoTags: expect.arrayContaining(['1', 'two']) })
    expect((await tsbuild(directory, ['push', '-aq', name])).stdout).toBe(`${name}\n`)
    for (const [word, message] of [
      [`${name}:1`, "tag can't be used with --all-tags/-a"],
      [`${registry.host}/none`, `An image does not exist locally with the tag: ${registry.host}/none`],
    ] as const)
      expect(await tsbuild(directory, ['push', '--all-tags', word])).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining(message),
      })
  })

  test('an image with media types of Docker is pushed with compressed layers, to the digest that a build with --push has', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const context = await writeContext(directory, {
      Dockerfile: 'FROM scratch\nCOPY note /\n',
      note: 'x'.repeat(10_000),
    })
    const names = ['kept', 'sent'].map((name) => `${registry.host}/${name}:1`)
    await tsbuild(directory, ['bud', '-q', '--format', 'docker', '-t', names[0]!, context])
    await tsbuild(directory, ['push', '-q', names[0]!])
    const output = `type=registry,oci-mediatypes=false,name=${names[1]}`
    await tsbuild(directory, ['-q', '-o', output, context])
    const raw = async (name: string) =>
      await checkTool('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`])
    const [kept, sent] = [await raw(names[0]!), await raw(names[1]!)]
    expect(kept).toBe(sent)
    expect(JSON.parse(kept)).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }],
    })
  })

  test('images --digests has the digest of the registry, none before a push, and none of the store alone can be pulled', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const repository = `${registry.host}/team/app`
    const digests = async (): Promise<string> =>
      (await tsbuild(directory, ['images', '--format', '{{.Tag}} {{.Digest}}', repository])).stdout
    await buildNumber(directory, `${repository}:1`, 1)
    expect(await digests()).toBe('1 <none>\n')
    const stored = (
      await tsbuild(directory, ['inspect', '-f', '{{.Descriptor.digest}}', `${repository}:1`])
    ).stdout.trim()
    await tsbuild(directory, ['push', '-q', `${repository}:1`])
    const shown = await checkTool('skopeo', ['inspect', '--tls-verify=false', `docker://${repository}:1`])
    const { Digest: pushed } = JSON.parse(shown) as { readonly Digest: string }
    expect(await digests()).toBe(`1 ${pushed}\n`)
    expect((await tsbuild(directory, ['images', '--digests'])).stdout).toContain(` ${pushed} `)
    // Another repository does not have it.
    await tsbuild(directory, ['tag', `${repository}:1`, 'local:2'])
    expect((await tsbuild(directory, ['images', '--format', 'json', 'local'])).stdout).toContain(
      String.raw`"Digest":"\u003cnone\u003e"`,
    )
    expect(stored).not.toBe(pushed)
    expect(await tsbuild(directory, ['pull', `${repository}@${stored}`])).toMatchObject({ status: 1, stdout: '' })
    expect((await tsbuild(directory, ['pull', `${repository}@${pushed}`])).status).toBe(0)
  })

  test('pull says when the one image that there is is of another platform', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const base = await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    const [wanted, actual] = process.arch === 'x64' ? ['linux/arm64', 'linux/amd64'] : ['linux/amd64', 'linux/arm64']
    const pulled = await tsbuild(directory, ['pull', '-q', '--platform', wanted, base])
    expect(pulled).toMatchObject({
      status: 0,
      // The words of Docker 28.
      stderr: `WARNING: image with reference ${base} was found but its platform (${actual}) does not match the specified platform (${wanted})\n`,
    })
    expect((await tsbuild(directory, ['pull', '-q', '--platform', actual, base])).stderr).toBe('')
  })

  test('an image on a base that was never fetched: listed, shown, pushed without it, completed by an archive', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const base = await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    const context = await writeContext(directory, { Dockerfile: `FROM ${base}\nCMD ["/bin/true"]\n` })
    const before = registry.requests().length
    const name = `${registry.host}/lazy:1`
    await tsbuild(directory, ['-q', '-t', name, context])
    const blobs = (): string[] =>
      registry
        .requests()
        .slice(before)
        .filter((request) => /^GET \S+\/blobs\//.test(request))
    // The config alone.
    expect(blobs()).toHaveLength(1)
    expect((await tsbuild(directory, ['history', '-q', name])).status).toBe(0)
    expect(await listed(directory, `${registry.host}/lazy`)).toHaveLength(1)
    expect((await tsbuild(directory, ['push', '-q', name])).status).toBe(0)
    expect(blobs()).toHaveLength(1)
    await checkTool('skopeo', [
      '--insecure-policy',
      'copy',
      '--src-tls-verify=false',
      `docker://${name}`,
      `dir:${directory.join('copy')}`,
    ])
    expect(
      (await tsbuild(directory, ['-o', `type=docker,dest=${directory.join('lazy.tar')}`, '-t', name, context])).status,
    ).toBe(0)
    expect(blobs().length).toBeGreaterThan(1)
    await checkTool('skopeo', [
      '--insecure-policy',
      'copy',
      `docker-archive:${directory.join('lazy.tar')}`,
      `dir:${directory.join('copy2')}`,
    ])
  })
})

const treeNeeds = ['docker-registry', 'skopeo'] as const

describeWith(treeNeeds, 'images --tree, with the columns of docker images --tree', () => {
  test('shows the platforms of an index, also those that are not here', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    const name = `${registry.host}/several:1`
    const context = await writeContext(directory, { Dockerfile: dockerfile, 'hello.txt': 'hello\n' })
    const platforms = 'linux/amd64,linux/arm/v7'
    const { stdout: id } = await tsbuild(directory, ['-q', '--platform', platforms, '-t', name, '--push', context])
    await tsbuild(directory, ['rmi', name])
    expect((await tsbuild(directory, ['pull', '--platform', 'linux/arm/v7', name])).status).toBe(0)
    await tsbuild(directory, ['tag', name, 'zz:1'])
    const { stdout } = await tsbuild(directory, ['images', '--tree'])
    const lines = stdout.split('\n').map((line) => line.trimEnd())
    const wide = name.length
    const row = (first: string, digest: string, size: string): string =>
      `${first.padEnd(wide)}   ${digest}   ${size.padStart(10)}   ${size.padStart(12)}`
    expect(lines[0]).toBe(`${'IMAGE'.padEnd(wide)}   ID             DISK USAGE   CONTENT SIZE   EXTRA`)
    expect(lines[1]).toBe(name)
    expect(lines[2]).toMatch(new RegExp(`^${'zz:1'.padEnd(wide)}   [0-9a-f]{12} +[\\d.]+k?B +[\\d.]+k?B$`))
    expect(lines[3]).toMatch(/^├─ linux\/amd64 /)
    const digest = lines[3]!.slice(wide + 3, wide + 15)
    expect(lines[3]).toBe(row('├─ linux/amd64', digest, '0B'))
    expect(lines[4]).toMatch(/^└─ linux\/arm\/v7 +[0-9a-f]{12} +[1-9][\d.]*k?B +[1-9][\d.]*k?B$/)
    expect(lines.slice(5)).toEqual(['', ''])
    expect(id).not.toBe('')
    expect(await tsbuild(directory, ['rmi', '--platform', 'linux/arm/v7', name])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Content will be removed from all images referencing this variant'),
    })
  })

  test.each(['-q', '--digests', '--no-trunc', '--format=json'])('goes not with %s, as there', async (flag) => {
    await using directory = await temporaryDirectory()
    const { status, stderr } = await tsbuild(directory, ['images', '--tree', flag])
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not yet supported with --tree'),
    })
  })
})
