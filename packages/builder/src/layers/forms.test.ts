import { afterAll, beforeAll, expect } from '@jest/globals'
import {
  describeWith,
  makeBusyboxRoot,
  pushBase,
  startRegistry,
  tarOfDirectory,
  temporaryDirectory,
  testWith,
  writeImageLayout,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { build, type ProgressEvent } from '../index.ts'
import { listLayer } from './layer-listing.test.helper.ts'

describeWith(['root', 'busybox', 'tar', 'docker-registry', 'skopeo'], 'forms of layers', () => {
  let work: TemporaryDirectory
  let registry: Registry
  let base: string

  beforeAll(async () => {
    work = await temporaryDirectory()
    registry = await startRegistry()
    const root = work.join('root')
    mkdirSync(root)
    await makeBusyboxRoot(root)
    // A second layer that holds tmp/x and does not list tmp, which is 1777 below.
    const more = work.join('more')
    mkdirSync(`${more}/tmp`, { recursive: true })
    chmodSync(`${more}/tmp`, 0o755)
    writeFileSync(`${more}/tmp/x`, 'x')
    const layers = [await tarOfDirectory(root), await tarOfDirectory(more, ['tmp/x'])]
    await writeImageLayout(work.join('layout'), { layers, config: { Cmd: ['sh'] } })
    base = await pushBase({ layout: work.join('layout') }, registry, 'implied:1')
  })
  afterAll(async () => {
    await registry?.stop()
    await work?.[Symbol.asyncDispose]()
  })

  async function buildLogged(dockerfile: string, store: string): Promise<string> {
    const events: ProgressEvent[] = []
    mkdirSync(work.join('context'), { recursive: true })
    await build({
      context: work.join('context'),
      dockerfile,
      store: work.join(store),
      tags: ['it'],
      buildArgs: { BASE: base },
      onProgress: (event) => events.push(event),
    })
    return events.flatMap((event) => (event.type === 'log' ? [Buffer.from(event.data).toString()] : [])).join('')
  }

  testWith([], 'a directory that a layer of the base does not list keeps the mode that it has below', async () => {
    expect(await buildLogged('ARG BASE\nFROM $BASE\nRUN stat -c %a /tmp && cat /tmp/x', 'implied')).toBe('1777\nx')
  })

  testWith([], 'an image may hold one layer several times, and each time counts', async () => {
    const layer = async (name: string, files: Readonly<Record<string, string>>): Promise<Uint8Array> => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(work.join(name, path, '..'), { recursive: true })
        writeFileSync(work.join(name, path), text)
      }
      return tarOfDirectory(work.join(name))
    }
    const root = await tarOfDirectory(work.join('root'))
    const bottom = await layer('bottom', { 'd/below': '0', 'e/below': '0', 'kept/x': '0' })
    const again = await layer('again', {
      'd/file': 'A',
      'd/sub/x': 'A',
      plain: 'A',
      'e/.wh..wh..opq': '',
      'e/own': 'A',
    })
    // Removes, replaces and adds between two turns of the same layer.
    const between = await layer('between', {
      'd/.wh.file': '',
      'd/sub': 'B is a file',
      'd/more': 'B',
      'plain/now-a-directory': 'B',
      'e/below': 'B',
      'e/more': 'B',
    })
    const empty = Buffer.alloc(1024)
    const layers = [root, bottom, again, empty, between, empty, again, empty]
    await writeImageLayout(work.join('repeated'), { layers, config: { Cmd: ['sh'] } })
    const repeated = await pushBase({ layout: work.join('repeated') }, registry, 'repeated:1')
    // As each layer in its turn leaves it, worked out by hand.
    const shown = ['/d/below 0', '/d/file A', '/d/more B', '/d/sub/x A', '/e/own A', '/kept/x 0', '/plain A']
    expect(
      await buildLogged(
        `FROM ${repeated}\nRUN find /d /e /kept /plain -type f | sort | while read -r f; do echo "$f $(cat $f)"; done\n`,
        'repeated-store',
      ),
    ).toBe(`${shown.join('\n')}\n`)
  })

  testWith([], 'one COPY --link given twice is two layers that a step can stand on', async () => {
    const twice = 'COPY --link <<f /linked/\nsame\nf\n'
    const steps = 'RUN cat /linked/f && rm /linked/f\n'
    expect(await buildLogged(`ARG BASE\nFROM $BASE\n${twice}${steps}${twice}${steps}`, 'link-twice')).toBe(
      'same\nsame\n',
    )
  })

  testWith([], 'trees that somebody takes away between two steps of a build are made again', async () => {
    const store = work.join('lost-store')
    const taken: string[] = []
    const events: ProgressEvent[] = []
    await build({
      context: work.join('root'),
      dockerfile: 'ARG BASE\nFROM $BASE\nRUN echo 1 > /one\nRUN echo 2 > /two\nRUN cat /one /two\n',
      store,
      buildArgs: { BASE: base },
      onProgress: (event) => {
        events.push(event)
        const isLast = event.type === 'vertex' && event.name.endsWith('cat /one /two') && event.startedMs !== undefined
        if (!isLast || taken.length > 0) return
        // Of the steps: each layer has one name here, and its row says that it is there.
        taken.push(...readdirSync(`${store}/snapshots`).filter((name) => name.startsWith('l-')))
        for (const name of taken) rmSync(`${store}/snapshots/${name}`, { recursive: true })
      },
    })
    expect(taken).toHaveLength(2)
    const logs = events.flatMap((event) => (event.type === 'log' ? [Buffer.from(event.data).toString()] : []))
    expect(logs.join('')).toBe('1\n2\n')
  })

  testWith(
    [],
    'steps that change nothing have the empty tar, and an output that keeps all in the cache none',
    async () => {
      const dockerfile = 'ARG BASE\nFROM $BASE\nRUN true\nRUN true 2\n'
      const options = { context: work.join('root'), dockerfile, buildArgs: { BASE: base } }
      // The SHA-256 of 1,024 zeros, as sha256sum has it.
      const digest = '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef'
      const store = work.join('empty-store')
      await build({ ...options, store, outputs: [{ type: 'cacheonly' }] })
      expect(existsSync(`${store}/blobs/sha256/${digest}`)).toBe(false)
      const result = await build({ ...options, store, tags: ['empty'] })
      expect(result.layers.slice(2).map(({ diffId }) => diffId)).toEqual([`sha256:${digest}`, `sha256:${digest}`])
      expect(listLayer(store, result.layers[3]!.diffId)).toEqual([])
    },
  )

  testWith(
    [],
    'a file that a step only opens is no change, also when the layer below was made a tree again from its tar',
    async () => {
      await buildLogged('ARG BASE\nFROM $BASE\nCOPY <<a <<b /files/\nA\na\nB\nb\n', 'again-store')
      // A new process of the same store: the COPY is cached as a tar, and this RUN needs it as a tree.
      const result = await build({
        context: work.join('context'),
        dockerfile:
          'ARG BASE\nFROM $BASE\nCOPY <<a <<b /files/\nA\na\nB\nb\nRUN : >> /files/a && echo new > /files/c\n',
        store: work.join('again-store'),
        buildArgs: { BASE: base },
      })
      expect(result.vertices.filter((vertex) => vertex.name.includes('COPY')).map((vertex) => vertex.status)).toEqual([
        'cached',
      ])
      expect(listLayer(work.join('again-store'), result.layers.at(-1)!.diffId)).toEqual(['files', 'files/c'])
    },
  )
})
