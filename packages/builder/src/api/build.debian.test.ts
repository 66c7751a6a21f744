import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  describeWith,
  debianBase,
  pushBase,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { cpSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, history, inspect, type ProgressEvent } from '../index.ts'

const fixtures = fileURLToPath(new URL('../../../../fixtures/', import.meta.url))
/** A base is unpacked and packages are fetched: minutes on a slow mirror. */
const SLOW_MS = 600_000

describeWith(
  ['root', 'debootstrap', 'tar', 'docker-registry', 'skopeo'],
  'the Dockerfiles that started this project, on Debian',
  () => {
    let registry: Registry
    let work: TemporaryDirectory
    let base: string
    let store: string

    beforeAll(async () => {
      work = await temporaryDirectory()
      registry = await startRegistry()
      base = await pushBase(await debianBase(), registry, 'debian:bookworm-slim')
      store = work.join('store')
    }, SLOW_MS)
    afterAll(async () => {
      await registry?.stop()
      await work?.[Symbol.asyncDispose]()
    })

    function logOf(events: readonly ProgressEvent[]): string {
      return events.flatMap((event) => (event.type === 'log' ? [Buffer.from(event.data).toString()] : [])).join('')
    }

    test(
      'an application: requirements first, then everything; the second build runs nothing',
      async () => {
        const context = work.join('application')
        cpSync(join(fixtures, 'application'), context, { recursive: true })
        const options = { context, store, tags: ['application'], buildArgs: { BASE: base } }
        const first = await build(options)
        expect(first.layers.map((layer) => layer.createdBy.split(' ')[0])).toEqual([
          expect.anything(),
          'WORKDIR',
          'ADD',
          'RUN',
          'ADD',
        ])
        const image = await inspect('application', { store })
        expect(image.Config).toMatchObject({
          WorkingDir: '/app',
          Cmd: ['sh', '/app/src/main.sh'],
          Env: expect.arrayContaining(['APP_ENV=production']),
        })

        const before = registry.requests().length
        const second = await build({ ...options, pull: 'missing' })
        expect(second.configDigest).toBe(first.configDigest)
        expect(
          second.vertices.filter((vertex) => vertex.status !== 'cached' && !vertex.name.startsWith('[internal]')),
        ).toEqual([])
        expect(registry.requests()).toHaveLength(before)

        writeFileSync(join(context, 'src', 'main.sh'), 'echo changed\n')
        const third = await build(options)
        const ran = third.vertices
          .filter((vertex) => vertex.status === 'ran' && !vertex.name.startsWith('[internal]'))
          .map((vertex) => vertex.name.replace(/^\[[^\]]*\] /, ''))
        expect(ran).toEqual(['ADD . /app'])
      },
      SLOW_MS,
    )

    test(
      'cache mounts on apt’s directories: a changed step downloads nothing again',
      async () => {
        const events: ProgressEvent[] = []
        const run = async (step: string): Promise<string> => {
          events.length = 0
          await build({
            context: join(fixtures, 'apt-cache'),
            store,
            buildArgs: { BASE: base, STEP: step },
            onProgress: (event) => events.push(event),
          })
          return logOf(events)
        }
        expect(await run('1')).toMatch(/Get:\d+ .*libpq-dev|Get:\d+ http/)
        const second = await run('2')
        expect(second).toContain('step 2')
        // apt names each package that it fetches; from its cache it fetches none.
        expect(second).not.toMatch(/Get:\d+ \S+ \S+ \S+ (gcc|libpq-dev)/)
        expect(second).toMatch(/Need to get 0 B|Setting up libpq-dev/)
        const mounts = readdirSync(join(store, 'cache-mounts'))
        expect(mounts.length).toBeGreaterThanOrEqual(3)
      },
      SLOW_MS,
    )

    test(
      'removing files in a later layer does not make the image smaller, and history says why',
      async () => {
        const { layers } = await build({
          context: join(fixtures, 'layer-size'),
          store,
          tags: ['layer-size'],
          buildArgs: { BASE: base },
        })
        const rows = await history('layer-size', { store })
        expect(rows[0]).toMatchObject({ createdBy: 'RUN /bin/sh -c rm -rf /usr/share/doc # buildkit', sizeBytes: 0 })
        const image = await inspect('layer-size', { store })
        const parts = image['Layers'] as { Size: number }[]
        expect(parts).toHaveLength(2)
        expect(parts[0]!.Size).toBeGreaterThan(50_000_000)
        expect(parts[1]!.Size).toBe(0)
        // The layer holds one whiteout and the directories above it.
        expect(layers[1]!.sizeBytes).toBeLessThan(10_000)
      },
      SLOW_MS,
    )
  },
)
