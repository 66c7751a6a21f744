import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, mountSmallDisk } from '@ts-oci/testing'
import { randomBytes } from 'node:crypto'
import { readdirSync, statfsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { images } from './images.ts'
import { prune } from './usage.ts'
import { pull } from './pull.ts'
import { validateLayout } from '../oci/validate.test.helper.ts'
import type { BuildOptions } from '../build/public-types.ts'

const DISK_BYTES = 64 * 1024 * 1024
const BALLAST_BYTES = 48 * 1024 * 1024

describeWith([...buildNeeds, 'mkfs.ext4', 'losetup'], 'a full disk', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
    await world.context('app', {
      large: randomBytes(20_000_000),
      small: 'small\n',
      medium: randomBytes(8_000_000),
      'medium.Dockerfile': 'FROM $BASE\nCOPY medium /\n',
      'pack.Dockerfile': 'FROM $BASE\nCOPY large /\n',
      'tree.Dockerfile': 'FROM $BASE\nCOPY large /\nRUN true\n',
      'run.Dockerfile': 'FROM $BASE\nRUN head -c 20000000 /dev/urandom > /large\n',
      'add.Dockerfile': 'FROM $BASE\nADD archive.tar /\n',
      'base.Dockerfile': 'FROM $BASE\nRUN true\n',
      'good.Dockerfile': 'FROM $BASE\nCOPY small /\nRUN cat /small > /copy\n',
    })
    await checkTool('tar', ['-cf', 'archive.tar', 'large'], { cwd: world.directory.join('app') })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  const storeFull = {
    code: 'OCI_STORE_FULL',
    message: expect.stringContaining('no space left'),
    hint: expect.stringContaining('prune'),
  }
  const cases: readonly (readonly [string, string, BuildOptions, object])[] = [
    ['while a layer is packed', 'pack', {}, { ...storeFull, location: { startLine: 2 } }],
    ['while a tree is written', 'tree', {}, { ...storeFull, location: { startLine: 2 } }],
    ['while an archive is unpacked', 'add', {}, { ...storeFull, location: { startLine: 2 } }],
    [
      'in a step',
      'run',
      {},
      {
        code: 'OCI_STEP_FAILED',
        location: { startLine: 2 },
        hint: expect.stringContaining('no space left for the store'),
      },
    ],
  ]

  test.each(['gzip', 'zstd'] as const)('while a layer is compressed (%s): one clear error', async (compression) => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    const context = world.directory.join('app')
    const options = { store, file: join(context, 'medium.Dockerfile') }
    await world.build(context, { ...options, tags: ['good'] })
    const { bavail, bsize } = statfsSync(disk.path)
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(bavail * bsize - 3_000_000))
    const output = { type: 'oci' as const, compression, dest: world.directory.join(`full-${compression}.tar`) }
    const build = (): Promise<unknown> => world.build(context, { ...options, outputs: [output] })
    await expect(build()).rejects.toMatchObject(storeFull)
    expect(readdirSync(join(store, 'tmp'))).toEqual([])
    await rm(join(disk.path, 'ballast'))
    await build()
    expect(await validateLayout(store)).toEqual([])
  })

  test.each(cases)(
    '%s: one clear error, nothing half-written, and the store goes on working',
    async (_name, file, options, error) => {
      await using disk = await mountSmallDisk(DISK_BYTES)
      const store = join(disk.path, 'store')
      const context = world.directory.join('app')
      await world.build(context, { store, file: join(context, 'good.Dockerfile'), tags: ['good'] })
      await writeFile(join(disk.path, 'ballast'), Buffer.alloc(BALLAST_BYTES))
      const blobs = readdirSync(join(store, 'blobs/sha256'))
      const trees = readdirSync(join(store, 'snapshots'))
      const build = (): Promise<unknown> =>
        world.build(context, { store, file: join(context, `${file}.Dockerfile`), tags: ['bad'], ...options })
      await expect(build()).rejects.toMatchObject(error)
      expect(readdirSync(join(store, 'tmp'))).toEqual([])
      expect(readdirSync(join(store, 'blobs/sha256'))).toEqual(blobs)
      expect(readdirSync(join(store, 'snapshots'))).toEqual(trees)
      expect((await images({ store })).map((image) => image.repository)).toEqual(['good'])
      await rm(join(disk.path, 'ballast'))
      await build()
      expect(await validateLayout(store)).toEqual([])
    },
  )

  test('while a base is fetched', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    const context = world.directory.join('app')
    await images({ store })
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(DISK_BYTES)).catch(() => undefined)
    await expect(world.build(context, { store, file: join(context, 'base.Dockerfile') })).rejects.toMatchObject(
      storeFull,
    )
    await expect(pull(world.base, { store })).rejects.toMatchObject(storeFull)
    await rm(join(disk.path, 'ballast'))
    await world.build(context, { store, file: join(context, 'base.Dockerfile'), tags: ['base'] })
    expect(await validateLayout(store)).toEqual([])
  })

  test.each(['oci', 'docker', 'tar', 'local'] as const)(
    'while type=%s is written: the destination is named, and nothing is left there',
    async (type) => {
      await using disk = await mountSmallDisk(16 * 1024 * 1024)
      const context = world.directory.join('app')
      const dest = join(disk.path, 'out')
      const failure = world.build(context, { file: join(context, 'pack.Dockerfile'), outputs: [{ type, dest }] })
      await expect(failure).rejects.toMatchObject({
        code: 'OCI_EXPORT_FAILED',
        message: expect.stringContaining(dest),
        hint: expect.stringContaining('free some space'),
      })
      // A directory is filled in place, as BuildKit fills it.
      if (type !== 'local') expect(readdirSync(disk.path)).toEqual(['lost+found'])
    },
  )

  test('prune works on a full disk and makes room', async () => {
    await using disk = await mountSmallDisk(DISK_BYTES)
    const store = join(disk.path, 'store')
    const context = world.directory.join('app')
    await world.build(context, { store, file: join(context, 'run.Dockerfile'), outputs: [{ type: 'cacheonly' }] })
    // To the last block: what ext4 has put off leaves some after the first time.
    const fill = `for i in 1 2 3; do cat /dev/zero >> ${disk.path}/ballast; sync -f ${disk.path}; done; true`
    await checkTool('sh', ['-c', fill])
    const { bavail, bsize } = statfsSync(disk.path)
    expect(bavail * bsize).toBeLessThan(32 * 1024)
    expect((await prune({ store, all: true })).reclaimedBytes).toBeGreaterThan(20_000_000)
    await world.build(context, { store, file: join(context, 'good.Dockerfile'), tags: ['good'] })
  })
})
