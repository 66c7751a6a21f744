import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect } from '@jest/globals'
import { describeWith, mountOverlayDisk, testWith, until, type OverlayDisk } from '@ts-oci/testing'
import { openSession } from '../build/session.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { build } from './build.ts'
import { buildNeeds, countSpawns, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'
import { prune } from './usage.ts'

const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))
const MIB = 1 << 20

describeWith(
  [...buildNeeds, 'mount', 'umount', 'mkfs.ext4', '/dev/loop-control'],
  'root with loop devices, on a disk that takes no overlay',
  () => {
    let world: BuildWorld
    let disk: OverlayDisk
    beforeAll(async () => {
      world = await makeBuildWorld()
      disk = await mountOverlayDisk()
    })
    afterAll(async () => {
      await disk[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    })

    const stages = [
      'FROM $BASE AS base',
      'RUN echo base > /file',
      'FROM base AS a',
      'RUN --mount=type=bind,from=base,target=/below,rw echo a >> /file && touch /below/scratch',
      'FROM base AS b',
      'COPY added /added',
      'RUN rm /file && mkdir /file && cat /added > /file/b',
      'FROM scratch',
      'COPY --from=a /file /a',
      'COPY --from=b /file /b',
    ].join('\n')

    testWith([], 'builds on an image in the store, mounts it nowhere and keeps no loop device', async () => {
      const context = await world.context('stages', { Dockerfile: stages, added: 'from the context\n' })
      const store = `${disk.path}/stages`
      const out = world.directory.join('stages-out')
      await build({ context, store, outputs: [{ type: 'local', dest: out }] })
      expect(readFileSync(`${out}/a`, 'utf8')).toBe('base\na\n')
      expect(readFileSync(`${out}/b/b`, 'utf8')).toBe('from the context\n')
      expect(imagesOf(store)).toHaveLength(1)
      expect(readdirSync(`${store}/image/at`)).toEqual([])
      expect(readdirSync(`${store}/snapshots`)).toEqual([])
      expect(readdirSync(`${store}/image`).filter((name) => name.endsWith('.user'))).toEqual([])
      await until(() => loopDevicesOf(store).length === 0)
    })

    testWith([], 'finds steps in the cache whose trees lie in the image, and does not mount it for that', async () => {
      const context = await world.context('cached', { Dockerfile: stages, added: 'x' })
      const store = `${disk.path}/cached`
      await build({ context, store })
      await until(() => loopDevicesOf(store).length === 0)
      // What cannot be mounted any more is only missed by who needs it.
      const [image] = imagesOf(store)
      truncateSync(`${store}/image/${image}`, 0)
      const { result, spawns } = await countSpawns(() => build({ context, store }))
      expect(verticesOf(result, 'ran')).toEqual([])
      expect(spawns).toBe(0)
    })

    testWith([], 'runs steps again whose trees were in an image that is gone', async () => {
      const text = 'FROM $BASE AS one\nRUN echo one > /one\nFROM $BASE\nCOPY --from=one /one /two\n'
      const context = await world.context('gone', { Dockerfile: text })
      const store = `${disk.path}/gone`
      await build({ context, store })
      rmSync(`${store}/image/${imagesOf(store)[0]}`)
      const more = await world.context('gone', { Dockerfile: `${text}COPY --from=one /one /three\nRUN cat /three\n` })
      const result = await build({ context: more, store })
      expect(verticesOf(result, 'ran')).toContain('RUN cat /three')
    })

    testWith([], 'lets builds in several processes share one device, and sees what they made', async () => {
      const store = `${disk.path}/shared`
      const contexts = await Promise.all(
        ['a', 'b', 'c'].map((name) =>
          world.context(`shared-${name}`, {
            Dockerfile: `FROM $BASE\nRUN echo 1 > /one\nRUN sleep 0.3; echo ${name}\n`,
          }),
        ),
      )
      const children = contexts.map((context) => start({ context, store }))
      let most = 0
      await until(() => {
        most = Math.max(most, loopDevicesOf(store).length)
        return children.every((child) => child.exitCode !== null)
      }, 60_000)
      expect(children.map((child) => child.exitCode)).toEqual([0, 0, 0])
      expect(most).toBe(1)
      expect(imagesOf(store)).toHaveLength(1)
    })

    testWith(
      [],
      'is whole after kill -9: no device and no mount is left, and the next build takes what was finished',
      async () => {
        const store = `${disk.path}/killed`
        const text = 'FROM $BASE\nRUN echo 1 > /one\n'
        const context = await world.context('killed', { Dockerfile: `${text}RUN echo half > /half; sleep 60\n` })
        let said = ''
        const child = start({ context, store })
        child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
        await until(() => loopDevicesOf(store).length === 1 && existsSync(`${store}/meta.sqlite`), 30_000)
        await until(() => said.includes('begun'))
        child.kill('SIGKILL')
        await once(child, 'exit')
        await until(() => loopDevicesOf(store).length === 0)
        const next = await world.context('killed', { Dockerfile: `${text}RUN test ! -e /half && cat /one\n` })
        const result = await build({ context: next, store })
        expect(verticesOf(result, 'ran')).toContain('RUN test ! -e /half && cat /one')
        expect(readdirSync(`${store}/image`).filter((name) => name.endsWith('.user'))).toEqual([])
      },
    )

    testWith([], 'throws an image away that a crash of the machine left, and one that was carried here', async () => {
      const store = `${disk.path}/carried`
      const context = await world.context('carried', { Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\n' })
      await build({ context, store })
      const [image] = imagesOf(store)
      // A copy is another inode.
      const content = readFileSync(`${store}/image/lock`)
      rmSync(`${store}/image/${image}`)
      writeFileSync(`${store}/image/keeps-the-number`, '')
      writeFileSync(`${store}/image/${image}`, content)
      const next = await world.context('carried', { Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN cat /one\n' })
      expect(verticesOf(await build({ context: next, store }), 'ran')).toContain('RUN cat /one')
    })

    testWith([], 'gives the room of what is pruned back to the disk', async () => {
      const store = `${disk.path}/pruned`
      const context = await world.context('pruned', {
        Dockerfile:
          'FROM $BASE AS one\nRUN head -c 40000000 /dev/urandom > /large; echo > /small\nFROM scratch\nCOPY --from=one /small /\n',
      })
      await build({ context, store })
      const before = bytesOf(store)
      expect(before).toBeGreaterThan(40 * MIB)
      const { reclaimedBytes } = await prune({ store, all: true })
      expect(reclaimedBytes).toBeGreaterThan(39 * MIB)
      expect(bytesOf(store)).toBeLessThan(10 * MIB)
    })

    testWith([], 'fails by name where the disk beneath fills up, and leaves a store that works', async () => {
      await using small = await mountOverlayDisk(300 * MIB)
      const store = `${small.path}/store`
      const context = await world.context('full', {
        Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN dd if=/dev/zero of=/large bs=1M count=200\n',
      })
      await using session = await openSession({ store }, { isShared: false })
      await build({ context: await world.context('first', { Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\n' }), session })
      expect(imagesOf(store)).toHaveLength(1)
      // Others take the room that the image had when it was made.
      writeFileSync(`${small.path}/other`, Buffer.alloc(180 * MIB, 1))
      await expect(build({ context, session })).rejects.toMatchObject({
        hint: expect.stringMatching(/prune -a|no space left/),
      })
      await session[Symbol.asyncDispose]()
      rmSync(`${small.path}/other`)
      const next = await world.context('not-full', { Dockerfile: 'FROM $BASE\nRUN echo 1 > /one\nRUN cat /one\n' })
      expect(verticesOf(await build({ context: next, store }), 'ran')).toContain('RUN cat /one')
    })

    testWith([], 'writes the base once for many steps', async () => {
      const store = `${disk.path}/many`
      const steps = Array.from({ length: 20 }, (_, step) => `RUN echo ${step} > /step && rm -f /old-${step}\n`)
      const base = await world.context('many-base', {
        Dockerfile: 'FROM $BASE\nRUN head -c 20000000 /dev/urandom > /large\n',
      })
      await build({ context: base, store, tags: ['many'] })
      const before = bytesOf(store)
      const context = await world.context('many', { Dockerfile: `FROM many\n${steps.join('')}` })
      await build({ context, store })
      // The base is there as a tar and as a tree.
      expect(bytesOf(store) - before).toBeLessThan(10 * MIB)
    })

    function start(options: BuildOptions) {
      const args = [
        '--conditions=@ts-oci/source',
        '--disable-warning=ExperimentalWarning',
        script,
        JSON.stringify(options),
      ]
      return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    }
  },
)

function imagesOf(store: string): readonly string[] {
  return readdirSync(`${store}/image`).filter((name) => name.endsWith('.ext4'))
}

/** Of the whole machine: those whose file lies in a store. */
function loopDevicesOf(store: string): readonly string[] {
  return readdirSync('/sys/block').filter((name) => {
    try {
      return (
        name.startsWith('loop') && readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').includes(`${store}/`)
      )
    } catch {
      return false
    }
  })
}

/** What a directory takes of its disk. */
function bytesOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(`${entry.parentPath}/${entry.name}`).blocks * 512, 0)
}
