import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { utimesSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNeeds, countSpawns, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

const compare = fileURLToPath(new URL('../../../../fixtures/compare/', import.meta.url))
const cases = (await readdir(join(compare, 'cases'))).filter((name) => name.endsWith('.Dockerfile')).toSorted()

describeWith([...buildNeeds, 'bzip2', 'xz'], 'every fixture', () => {
  let world: BuildWorld
  let context: string

  beforeAll(async () => {
    world = await makeBuildWorld()
    context = world.directory.join('compare')
    await checkTool('sh', [join(compare, 'make-context.sh'), context])
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test.each(cases)(
    '%s: the second build runs nothing, asks only whether the base is the same, and is the same image',
    async (name) => {
      const options = { file: join(context, name), buildArgs: { BASE: world.base } }
      const first = await world.build(context, options)
      const before = world.registry.requests().length
      const { result: second, spawns } = await countSpawns(() => world.build(context, options))
      expect(verticesOf(second, 'ran')).toEqual([])
      expect(second.configDigest).toBe(first.configDigest)
      expect(second.layers).toEqual(first.layers)
      expect(spawns).toBe(0)
      const asked = world.registry.requests().slice(before)
      expect(asked.filter((request) => !/^(?:GET \/v2\/|HEAD \S+\/manifests\/\S+) 200$/.test(request))).toEqual([])
      // Of one host it is found out once how it is spoken to.
      expect(asked.filter((request) => request.startsWith('GET')).length).toBeLessThanOrEqual(1)
    },
  )
})

describeWith(buildNeeds, 'what a change makes run again', () => {
  let world: BuildWorld
  let context: string
  const dockerfile = [
    'FROM $BASE',
    'COPY requirements /app/',
    'RUN cat /app/requirements > /installed',
    'COPY src /app/src',
    'RUN cat /app/src/* > /compiled',
    'ENV LEVEL=1',
    '',
  ]

  beforeAll(async () => {
    world = await makeBuildWorld()
    context = await world.context('app', {
      Dockerfile: dockerfile.join('\n'),
      requirements: 'a\n',
      'src/one': '1\n',
      'src/two': '2\n',
      unused: 'x\n',
    })
    await world.build(context)
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('touching a file: nothing', async () => {
    utimesSync(join(context, 'src/one'), 1_000_000, 1_000_000)
    expect(verticesOf(await world.build(context), 'ran')).toEqual([])
  })

  test('writing a file with the bytes that it had: nothing', async () => {
    await writeFile(join(context, 'src/one'), '1\n')
    expect(verticesOf(await world.build(context), 'ran')).toEqual([])
  })

  test('a file that no instruction reads: nothing', async () => {
    await writeFile(join(context, 'unused'), 'y\n')
    expect(verticesOf(await world.build(context), 'ran')).toEqual([])
  })

  test('one file: what depends on it', async () => {
    await writeFile(join(context, 'src/two'), 'changed\n')
    const { result, spawns } = await countSpawns(() => world.build(context))
    // The executor: that the other tests count none means something.
    expect(spawns).toBe(1)
    expect(verticesOf(result, 'ran')).toEqual(['COPY src /app/src', 'RUN cat /app/src/* > /compiled'])
    expect(verticesOf(result, 'cached')).toEqual(
      expect.arrayContaining(['COPY requirements /app/', 'RUN cat /app/requirements > /installed']),
    )
  })

  test('the last ENV: nothing, and every vertex is told to be cached', async () => {
    await world.context('app', { Dockerfile: dockerfile.with(5, 'ENV LEVEL=2').join('\n') })
    const { result, spawns } = await countSpawns(() => world.build(context))
    expect(verticesOf(result, 'ran')).toEqual([])
    expect(verticesOf(result, 'cached').filter((name) => !name.startsWith('FROM'))).toHaveLength(4)
    expect(spawns).toBe(0)
  })

  test('a step whose input gives the same bytes again: only the input', async () => {
    const text =
      'FROM $BASE AS made\nARG N\nRUN echo $N > /dev/null; echo same > /out; touch -d @1 /out\nFROM $BASE\nCOPY --from=made /out /out\nRUN cat /out\n'
    const made = await world.context('made', { Dockerfile: text })
    await world.build(made, { buildArgs: { N: '1' } })
    const second = await world.build(made, { buildArgs: { N: '2' } })
    expect(verticesOf(second, 'ran')).toEqual(['RUN echo 2 > /dev/null; echo same > /out; touch -d @1 /out'])
  })

  test('--no-cache: everything, and the next build takes what it made', async () => {
    const fresh = await world.build(context, { noCache: true })
    expect(verticesOf(fresh, 'ran')).toHaveLength(4)
    const next = await world.build(context)
    expect(verticesOf(next, 'ran')).toEqual([])
    expect(next.configDigest).toBe(fresh.configDigest)
  })
})
