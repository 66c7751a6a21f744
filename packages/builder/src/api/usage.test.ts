import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { images } from './images.ts'
import { diskUsage, prune } from './usage.ts'
import type { UsageRecord } from '../build/public-types.ts'

describeWith(buildNeeds, 'the build cache', () => {
  let world: BuildWorld
  beforeAll(async () => void (world = await makeBuildWorld()))
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const DOCKERFILE = `FROM $BASE
RUN --mount=type=cache,id=tools,target=/c head -c 300000 /dev/zero > /c/file
COPY hello /hello
RUN cp /hello /other
`
  const by = (records: readonly UsageRecord[], part: string): UsageRecord =>
    records.find(({ description }) => description.includes(part))!

  /** The next build may tidy up as if a minute had gone. */
  function forgetLook(store: string): void {
    const database = new DatabaseSync(join(store, 'meta.sqlite'))
    database.exec("DELETE FROM settings WHERE key = 'garbage_checked_ms'")
    database.close()
  }

  test('is told as BuildKit tells it: layers of steps over those of the base, cache mounts, contexts', async () => {
    const store = world.directory.join('told')
    const context = await world.context('told-context', { Dockerfile: DOCKERFILE, hello: 'hello' })
    // What was written a moment ago is not remembered: the next build hashes it again.
    await delay(300)
    await world.build(context, { store, tags: ['told'] })
    const records = await diskUsage({ store })
    const [base, copy, run] = [by(records, 'pulled from'), by(records, 'COPY hello'), by(records, 'cp /hello')]
    expect(run).toMatchObject({
      type: 'regular',
      parents: [copy.id],
      isShared: true,
      isMutable: false,
      isInUse: false,
      usageCount: 1,
    })
    expect(by(records, 'head -c')).toMatchObject({ parents: [base.id] })
    expect(base).toMatchObject({ type: 'regular', parents: [], isShared: true })
    // A base that is packed once as it came and once as a tree: more than its blob.
    expect(base.sizeBytes).toBeGreaterThan(500_000)
    expect(records.filter(({ type }) => type === 'exec.cachemount')).toMatchObject([
      { isMutable: true, sizeBytes: 300_000, isShared: false, description: 'cached mount with id "/tools"' },
    ])
    expect(records.filter(({ type }) => type === 'source.local')).toMatchObject([{ isMutable: true }])
    expect(new Set(records.map(({ id }) => id)).size).toBe(records.length)
    expect(records.every(({ id }) => /^[0-9a-z]{25}$/.test(id))).toBe(true)
    const filtered = await diskUsage({ store, filters: ['type=regular', 'description~=exec'] })
    expect(filtered.map(({ id }) => id).toSorted()).toEqual([by(records, 'head -c').id, run.id].toSorted())
    expect(await diskUsage({ store, filters: ['until=1h'] })).toEqual([])
  })

  test('loses what a filter names, and what that stands on stays', async () => {
    const store = world.directory.join('filtered')
    const context = await world.context('filtered-context', { Dockerfile: DOCKERFILE, hello: 'hello' })
    await world.build(context, { store, outputs: [{ type: 'cacheonly' }] })
    const { removed } = await prune({ store, filters: ['description~=cp /hello'] })
    expect(removed).toMatchObject([{ description: expect.stringContaining('cp /hello'), isShared: false }])
    expect(removed[0]!.sizeBytes).toBeGreaterThan(0)
    const again = await world.build(context, { store, outputs: [{ type: 'cacheonly' }] })
    expect(verticesOf(again, 'ran')).toEqual(['RUN cp /hello /other'])
    await prune({ store, filters: ['type=exec.cachemount'] })
    expect((await diskUsage({ store })).some(({ type }) => type === 'exec.cachemount')).toBe(false)
    await prune({ store })
    expect(await diskUsage({ store })).toEqual([])
  })

  test('is tidied up after a build: what was used least goes, what this build used stays, and so do images', async () => {
    const store = world.directory.join('tidy')
    const noise = (name: string): Promise<string> =>
      world.context(`tidy-${name}`, {
        Dockerfile: `FROM $BASE\nRUN echo ${name} && head -c 2000000 /dev/urandom > /noise\n`,
      })
    const [one, two, three] = [await noise('one'), await noise('two'), await noise('three')]
    for (const context of [one, two])
      await world.build(context, { store, outputs: [{ type: 'cacheonly' }], gc: 'false' })
    // Room for one of the two, beside what the image shares.
    const before = await diskUsage({ store })
    const gc = `max-used-space=${by(before, 'echo two').sizeBytes + by(before, 'echo one').sizeBytes / 2}`
    await world.build(three, { store, tags: ['kept'], gc })
    const left = await diskUsage({ store })
    expect(left.some(({ description }) => description.includes('echo one'))).toBe(false)
    expect(left.some(({ description }) => description.includes('echo two'))).toBe(true)
    expect((await images({ store })).map(({ repository }) => repository)).toEqual(['kept'])
    // What is remembered of the base is there as well: nothing is fetched, with the registry's word or without.
    const again = await world.build(three, { store, tags: ['kept'], gc, pull: 'never' })
    expect(verticesOf(again, 'ran')).toEqual([])
  })

  test('is looked at once a minute, and not by a build that found all there', async () => {
    const store = world.directory.join('looked')
    const context = await world.context('looked-context', { Dockerfile: 'FROM $BASE\nRUN echo a > /a\n' })
    await world.build(context, { store, gc: 'max-used-space=1' })
    const looked = (): unknown => {
      const database = new DatabaseSync(join(store, 'meta.sqlite'))
      const row = database.prepare("SELECT value FROM settings WHERE key = 'garbage_checked_ms'").get()
      database.close()
      return row?.['value']
    }
    const first = looked()
    expect(Number(first)).toBeGreaterThan(0)
    forgetLook(store)
    await world.build(context, { store, gc: 'max-used-space=1' })
    expect(looked()).toBeUndefined()
  })

  test('is told about a rule that is not understood before anything is built', async () => {
    const context = await world.context('refused-context', { Dockerfile: 'FROM scratch\n' })
    const store = world.directory.join('refused')
    await expect(world.build(context, { store, gc: 'max-space=1' })).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      hint: expect.stringContaining('max-used-space=SIZE'),
    })
    const file = world.directory.join('gc.json')
    const before = process.env['TSBUILD_GC_FILE']
    process.env['TSBUILD_GC_FILE'] = file
    try {
      for (const [text, message] of [
        ['{', 'is no JSON'],
        ['{"builder": {"gc": {"policy": [{"maxUsed": "1"}]}}}', 'unknown field "maxUsed"'],
        ['{"defaultMaxUsedSpace": "lots"}', 'defaultMaxUsedSpace: "lots" is no size'],
      ] as const) {
        writeFileSync(file, text)
        await expect(world.build(context, { store })).rejects.toThrow(message)
      }
      // As Docker's daemon.json has it.
      writeFileSync(
        file,
        '{"builder":{"gc":{"enabled":true,"policy":[{"filter":["type=exec.cachemount"],"keepDuration":"48h","maxUsedSpace":"512MB"}]}}}',
      )
      expect((await world.build(context, { store })).warnings).toEqual([])
    } finally {
      if (before === undefined) delete process.env['TSBUILD_GC_FILE']
      else process.env['TSBUILD_GC_FILE'] = before
    }
  })
})
