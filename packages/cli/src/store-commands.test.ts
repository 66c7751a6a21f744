import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

describe('what Docker has around images', () => {
  let directory: TemporaryDirectory
  const output = async (...words: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await tsbuild(directory, words)
    expect([status, stderr]).toEqual([0, ''])
    return stdout
  }
  async function build(content: string, ...words: readonly string[]): Promise<string> {
    const Dockerfile = `FROM scratch\nCOPY file /\nLABEL org.opencontainers.image.description="the ${content} one" stage=${content}\n`
    return (await output('-q', ...words, await writeContext(directory, { Dockerfile, file: content }))).trim()
  }

  let first = ''
  beforeAll(async () => {
    directory = await temporaryDirectory()
    first = await build('first', '-t', 'app')
    await build('second', '-t', 'app')
  })
  afterAll(async () => {
    await directory[Symbol.asyncDispose]()
  })

  test('system df has a line for each kind of thing, as docker prints it', async () => {
    expect(await output('system', 'df')).toMatch(
      /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +2 +0 +\S+ +\S+ \(100%\)\nContainers +0 +0 +0B +0B\nLocal Volumes +0 +0 +0B +0B\nBuild Cache +3 +0 +\S+ +\S+\n$/,
    )
    expect(await output('system', 'df', '--format', '{{.Type}}={{.TotalCount}}')).toContain('Images=2\n')
    const full = await output('system', 'df', '-v')
    for (const title of ['Images', 'Containers', 'Local Volumes']) expect(full).toContain(`${title} space usage:\n\n`)
    expect(full).toMatch(
      /\nBuild cache usage: \S+\n\nCACHE ID +CACHE TYPE +SIZE +CREATED +LAST USED +USAGE +SHARED\n\w{12} /,
    )
  })

  test('search finds names and labels of the store, and sends questions to Docker Hub elsewhere', async () => {
    expect(await output('search', 'ap')).toMatch(
      /^NAME +DESCRIPTION +STARS +OFFICIAL\napp:latest +the second one +0 *\n$/,
    )
    expect(await output('search', '--format', '{{.Name}}', 'SECOND')).toBe('app:latest\n')
    expect(await output('search', 'nothing-of-that')).toMatch(/^NAME[^\n]*\n$/)
    const asked = await tsbuild(directory, ['search', '--filter', 'is-official=true', 'app'])
    expect([asked.status, asked.stderr]).toEqual([125, expect.stringContaining('asks Docker Hub')])
  })

  test('image prune takes images without a name, and with -a all that its filters leave', async () => {
    const asked = await tsbuild(directory, ['image', 'prune'], { input: 'n\n' })
    expect(asked.stderr + asked.stdout).toContain(
      'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N]',
    )
    expect(await output('image', 'prune', '-f', '--filter', 'label=stage=other')).toBe('Total reclaimed space: 0B\n')
    expect(await output('image', 'prune', '-f')).toMatch(
      new RegExp(`^Deleted Images:\ndeleted: ${first}\n\nTotal reclaimed space: \\S+B\n$`),
    )
    expect(await output('image', 'prune', '-af', '--filter', 'until=24h')).toBe('Total reclaimed space: 0B\n')
    expect(await output('image', 'prune', '-af', '--filter', 'label=stage=second')).toContain(
      'untagged: app:latest\ndeleted: sha256:',
    )
    expect(await output('images', '-q')).toBe('')
  })

  test('system prune takes the build cache as well', async () => {
    await build('third')
    const pruned = await output('system', 'prune', '-f')
    expect(pruned).toMatch(
      /^Deleted Images:\ndeleted: sha256:\w+\n\nDeleted build cache objects:\n\w{25}\n[^]*\nTotal reclaimed space: \S+B\n$/,
    )
    expect(await output('du')).toMatch(/^ID +RECLAIMABLE +SIZE +LAST ACCESSED\nReclaimable:\t0B\nTotal:\t\t0B\n$/)
  })
})
