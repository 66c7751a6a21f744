import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import { BuilderError } from '../base/errors.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import { createVertex } from '../graph/vertex.ts'
import { makeEntry } from '../view/entry.ts'
import { digestOf, type Digest } from '../oci/digest.ts'
import { layersOf } from '../ops/context-layer.ts'
import type { OpDriver } from './types.ts'
import type { ProgressEvent } from '../base/progress.ts'
import { createScheduler } from './scheduler.ts'
import { combineCaches } from '../cache/combine.ts'
import { createStoreCache } from '../cache/store-cache.ts'
import type { CacheManager } from '../cache/types.ts'
import { createSolver } from './solver.ts'

let directory: string
let store: Store
let forms: LayerForms
const signal = new AbortController().signal
const noExecutor = (): never => {
  throw new Error('no step runs in these tests')
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'solver-'))
  store = await openStore({ root: directory })
  forms = newForms()
})

/** As another process has them: nothing of what was made is remembered. */
function newForms(): LayerForms {
  return createLayerForms({
    store,
    jobs: createJobRunner({ executor: noExecutor, signal }),
    executor: noExecutor,
    fetcher: noExecutor,
    signal,
  })
}

afterEach(async () => {
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

/** A vertex that writes one file; its name is all that it does. */
function step(name: string, inputs: readonly Vertex[] = [], ignoreCache = false): Vertex {
  const location = { file: 'Dockerfile', startLine: 7, startColumn: 1, endLine: 7, endColumn: 9 }
  return createVertex(
    { kind: 'source', identifier: `test://${name}`, attrs: {} },
    inputs.map((vertex): Edge => ({ vertex, output: 0 })),
    { metadata: { name, ignoreCache, location } },
  )
}

/** A layer that holds one file, described by what that holds. */
function fileLayer(content: string, path = content): LayerHandle {
  const bytes = Buffer.from(content)
  return forms.fromSelection(
    [makeEntry({ path, type: 'file', size: bytes.length, mode: 0o644, content: { kind: 'inline', bytes } })],
    { createdMs: 1000, description: content },
  )
}

/** Runs such vertices and counts. `content`: what each file holds, by the vertex' name; equal content has equal digests. */
function harness(
  options: {
    readonly fail?: string
    /** The name of a vertex that this machine cannot run. */
    readonly unable?: string
    readonly content?: Readonly<Record<string, string>>
    readonly byContent?: boolean
    readonly delayMs?: number
    readonly caches?: readonly CacheManager[]
  } = {},
) {
  const ran: string[] = []
  let running = 0
  let most = 0
  const events: ProgressEvent[] = []
  const driver: OpDriver = {
    recordType: 'regular',
    handles: () => true,
    cacheMap: (vertex) => ({
      payload: vertex.metadata.name,
      selectors: vertex.inputs.map(() => (options.byContent ? [] : undefined)),
    }),
    inputUse: (vertex) => vertex.inputs.map(() => 'through'),
    run: async (vertex, inputs) => {
      const { name } = vertex.metadata
      most = Math.max(most, ++running)
      await new Promise((done) => setTimeout(done, options.delayMs ?? 1))
      running--
      if (options.fail === name) throw new BuilderError('OCI_STEP_FAILED', `${name} failed`)
      ran.push(name)
      const layer = fileLayer(options.content?.[name] ?? name, name)
      return [{ kind: 'layers', layers: [...inputs.flatMap((input) => layersOf(forms, input)), layer] }]
    },
  }
  const unable: OpDriver = {
    ...driver,
    handles: (vertex) => vertex.metadata.name === options.unable,
    ready: async () => Promise.reject(new BuilderError('OCI_STEP_UNSUPPORTED', 'not on this machine')),
  }
  const solver = createSolver({
    drivers: [unable, driver],
    cache: combineCaches([createStoreCache(store, forms), ...(options.caches ?? [])]),
    oneExecution: (key, until, work) => store.locks.hold('execution', [{ name: key }], { signal: until }, work),
    forms,
    scheduler: createScheduler(4),
    onProgress: (event) => events.push(event),
    signal,
    digestLayers: async (layers) => digestOf(layers.map((layer) => layer.description).join()),
    sharedDigestLayers: async (layers) => [digestOf(layers.map((layer) => layer.description).join())],
  })
  const solve = async (vertex: Vertex): Promise<readonly string[]> => {
    const outcome = await solver.solve({ vertex, output: 0 }, { tree: false, tar: true })
    return layersOf(forms, (await outcome.load())[0]!).map((layer) => layer.description)
  }
  const cached = (): string[] =>
    solver.reporter.states().flatMap((state) => (state.cached ? [state.vertex.metadata.name] : []))
  const layerIds = async (vertex: Vertex): Promise<readonly string[]> => {
    const outcome = await solver.solve({ vertex, output: 0 }, { tree: false, tar: true })
    return layersOf(forms, (await outcome.load())[0]!).map((layer) => layer.id)
  }
  const reasons = (): (string | undefined)[] => solver.reporter.states().map((state) => state.missReason)
  return { solve, solver, layerIds, reasons, ran, cached, most: () => most, events }
}

describe('the solver', () => {
  test('runs inputs before their users and gives the chain of their layers', async () => {
    const { solve, ran } = harness()
    const a = step('a')
    expect(await solve(step('c', [a, step('b')]))).toEqual(['a', 'b', 'c'])
    expect([...ran].sort()).toEqual(['a', 'b', 'c'])
    expect(ran.at(-1)).toBe('c')
  })

  test('runs equal vertices once', async () => {
    const { solve, ran } = harness()
    await solve(step('end', [step('l', [step('same')]), step('r', [step('same')])]))
    expect(ran.filter((name) => name === 'same')).toHaveLength(1)
  })

  test('runs independent vertices side by side', async () => {
    const { solve, most } = harness({ delayMs: 30 })
    await solve(step('end', [step('x'), step('y'), step('z')]))
    expect(most()).toBe(3)
  })

  test('finds everything the second time, and runs nothing', async () => {
    const target = step('b', [step('a')])
    await harness().solve(target)
    const second = harness()
    expect(await second.solve(target)).toEqual(['a', 'b'])
    expect(second.ran).toEqual([])
    expect(second.cached().sort()).toEqual(['a', 'b'])
  })

  test('runs only what a change reaches', async () => {
    await harness().solve(step('c', [step('b', [step('a')])]))
    const second = harness()
    await second.solve(step('c', [step('b2', [step('a')])]))
    expect([...second.ran].sort()).toEqual(['b2', 'c'])
    expect(second.cached()).toEqual(['a'])
  })

  test('finds a vertex by the content of its input when the input itself is new', async () => {
    const content = { old: 'same bytes', new: 'same bytes' }
    await harness({ content, byContent: true }).solve(step('user', [step('old')]))
    const second = harness({ content, byContent: true })
    await second.solve(step('user', [step('new')]))
    expect(second.ran).toEqual(['new'])
  })

  test('what cannot run here is refused at its own place, before anything below it runs', async () => {
    const { solve, solver, ran } = harness({ unable: 'step' })
    const copy = step('copy', [step('base')])
    await expect(solve(step('end', [step('step', [copy])]))).rejects.toMatchObject({ code: 'OCI_STEP_UNSUPPORTED' })
    expect(ran).toEqual([])
    const failed = solver.reporter.states().filter(({ error, canceled }) => error !== undefined && canceled !== true)
    expect(failed.map(({ vertex }) => vertex.metadata.name)).toEqual(['step'])
  })

  test('what cannot run here and is found in the cache keeps nothing from running', async () => {
    await harness().solve(step('step', [step('base')]))
    const second = harness({ unable: 'step' })
    await second.solve(step('new', [step('step', [step('base')])]))
    expect(second.ran).toEqual(['new'])
  })

  test('asks no cache for a vertex that ignores it', async () => {
    await harness().solve(step('b', [step('a')]))
    const second = harness()
    await second.solve(step('b', [step('a')], true))
    expect(second.ran).toEqual(['b'])
  })

  test('builds on what a vertex that ignores the cache gave, now and the next time', async () => {
    await harness({ content: { a: 'old' } }).solve(step('b', [step('a')]))
    const second = harness({ content: { a: 'new' } })
    expect(await second.solve(step('b', [step('a', [], true)]))).toEqual(['new', 'b'])
    expect(second.ran).toEqual(['a', 'b'])
    const third = harness()
    expect(await third.solve(step('b', [step('a')]))).toEqual(['new', 'b'])
    expect(third.ran).toEqual([])
  })

  test('keeps what was finished when another vertex fails', async () => {
    const first = harness({ fail: 'bad' })
    await expect(first.solve(step('end', [step('good'), step('bad', [step('first')])]))).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: 'bad failed',
    })
    const second = harness()
    await second.solve(step('end', [step('good'), step('bad', [step('first')])]))
    expect([...second.ran].sort()).toEqual(['bad', 'end'])
  })

  test('executes once when two builds need the same vertex at the same time', async () => {
    const one = harness({ delayMs: 50 })
    const two = harness({ delayMs: 50 })
    await Promise.all([one.solve(step('shared')), two.solve(step('shared'))])
    expect([...one.ran, ...two.ran]).toEqual(['shared'])
  })

  describe('of a record whose layers are gone', () => {
    /** As a crash of the machine, or somebody who tidied up, leaves it: the row stands, and nothing of what it names. */
    const removeContent = (...ids: readonly string[]): void => {
      for (const id of ids) {
        const { diffId } = store.layers.get(id)!
        store.blobs.delete(diffId as string as Digest)
      }
      // What this process remembers of them goes, too.
      forms = newForms()
    }

    test('runs the vertex again, once for all builds that need it, tells that, and keeps what it gave', async () => {
      const target = step('b', [step('a')])
      removeContent(...(await harness().layerIds(target)))
      const [one, two] = [harness({ delayMs: 20 }), harness({ delayMs: 20 })]
      const [first, second] = await Promise.all([one.layerIds(target), two.layerIds(target)])
      expect(second).toEqual(first)
      expect([...one.ran, ...two.ran].sort()).toEqual(['a', 'b'])
      expect([...one.reasons(), ...two.reasons()].filter((reason) => reason !== undefined)).toEqual([
        'its files are gone',
        'its files are gone',
      ])
      expect([...one.cached(), ...two.cached()].sort()).toEqual(['a', 'b'])
      forms = newForms()
      const third = harness()
      expect(await third.layerIds(target)).toEqual(first)
      expect([third.ran, third.cached().sort()]).toEqual([[], ['a', 'b']])
    })

    test('runs what is missing only', async () => {
      const target = step('c', [step('b', [step('a')])])
      const [a, b] = await harness().layerIds(target)
      removeContent(b!)
      const second = harness()
      expect((await second.layerIds(target))[0]).toBe(a)
      // It gives the bytes that it gave before, so what stands on it is whole again.
      expect(second.ran).toEqual(['b'])
    })

    test('fails at its place when it fails', async () => {
      const target = step('b', [step('a')])
      removeContent(...(await harness().layerIds(target)))
      await expect(harness({ fail: 'a' }).solve(target)).rejects.toMatchObject({
        message: 'a failed',
        location: { startLine: 7 },
      })
    })

    test('runs it again when it goes while it is used, and its users on what that gave', async () => {
      const target = step('b', [step('a')])
      const first = harness()
      const outcome = await first.solver.solve({ vertex: target, output: 0 }, { tree: false, tar: true })
      let uses = 0
      const ids = await first.solver.use(outcome, async (results) => {
        const layers = layersOf(forms, results[0]!)
        if (uses++ === 0) {
          store.blobs.delete(store.layers.get(layers[0]!.id)!.diffId as string as Digest)
          store.layers.replace({ ...store.layers.get(layers[0]!.id)!, hasTar: false, hasTable: false })
        }
        for (const layer of layers) await forms.tar(layer)
        return layers.map(({ id }) => id)
      })
      expect(uses).toBe(2)
      expect(ids).toHaveLength(2)
      expect([...first.ran].sort()).toEqual(['a', 'a', 'b', 'b'])
    })
  })

  test('of a vertex that nobody needed to be written, gives one layer for ever after it was', async () => {
    const target = step('only')
    const unwritten = harness()
    const outcome = await unwritten.solver.solve({ vertex: target, output: 0 }, { tree: false, tar: false })
    await outcome.load()
    forms = newForms()
    const ids = []
    for (let round = 0; round < 3; round++) {
      const again = harness()
      ids.push(...(await again.layerIds(target)))
      expect(again.cached()).toEqual(['only'])
      forms = newForms()
    }
    expect(new Set(ids).size).toBe(1)
  })

  test('tells of a vertex that it is known, started and done', async () => {
    const { solve, events } = harness()
    await solve(step('only'))
    const shown = events.map((event) =>
      event.type === 'vertex' ? [event.startedMs !== undefined, event.completedMs !== undefined, event.cached] : [],
    )
    expect(shown).toEqual([
      [false, false, undefined],
      [true, false, undefined],
      [true, true, false],
    ])
  })
})

/** A record of a cache that travels: what one vertex gave, by its op and, for each input, keys of records or contents. */
interface LinkedRecord {
  readonly id: string
  readonly payload: string
  readonly inputs: readonly (readonly string[])[]
  /** What its layer holds; undefined for a record that only links. */
  readonly content?: string
}

/** Looks up as BuildKit does: the records that an input leads to by any of its keys, intersected over the inputs. */
function linkedCache(records: readonly LinkedRecord[]): CacheManager {
  const find: CacheManager['find'] = async ({ map, inputs }) => {
    const ofInput = inputs.map(({ keys, content }, index) => {
      const known = [...keys, ...(content === undefined ? [] : [content.digest])]
      return new Set(records.filter((record) => record.inputs[index]?.some((link) => known.includes(link))))
    })
    return records
      .filter((record) => record.payload === map.payload && record.inputs.length === inputs.length)
      .filter((record) => ofInput.every((matching) => matching.has(record)))
      .map(({ id, content }) => ({
        key: id,
        preimage: '{}',
        createdMs: 1,
        isForeign: true,
        hasContent: content !== undefined,
        layers: () => (content === undefined ? undefined : [fileLayer(content)]),
      }))
  }
  return { find, get: () => undefined, save: () => undefined }
}

describe('a cache from elsewhere', () => {
  const a = { id: 'far a', payload: 'a', inputs: [] }
  const b = { id: 'far b', payload: 'b', inputs: [] }
  const c = { id: 'far c', payload: 'c', inputs: [['far a'], ['far b']], content: 'c from afar' }

  test('is found over all inputs by its own keys, and what only links is not run for it', async () => {
    const { solve, ran, cached } = harness({ caches: [linkedCache([a, b, c])] })
    expect(await solve(step('c', [step('a'), step('b')]))).toEqual(['c from afar'])
    expect(ran).toEqual([])
    expect(cached()).toEqual(['a', 'b', 'c'])
  })

  test('does not match when one input is another', async () => {
    const { solve, ran } = harness({ caches: [linkedCache([a, b, c])] })
    await solve(step('c', [step('a'), step('other')]))
    expect([...ran].toSorted()).toEqual(['a', 'c', 'other'])
  })

  test('is found by what is read of an input that it does not have', async () => {
    const byContent = { ...c, inputs: [['far a'], [digestOf('b')]] }
    const { solve, ran } = harness({ byContent: true, caches: [linkedCache([{ ...a, content: 'a' }, byContent])] })
    expect(await solve(step('c', [step('a'), step('b')]))).toEqual(['c from afar'])
    expect(ran).toEqual(['b'])
  })

  test('is not the key by which the store finds again what was built on it', async () => {
    const graph = () => step('d', [step('a')])
    expect(await harness({ caches: [linkedCache([{ ...a, content: 'a' }])] }).solve(graph())).toEqual(['a', 'd'])
    const { solve, ran } = harness({ caches: [linkedCache([{ ...a, content: 'a' }])] })
    expect(await solve(graph())).toEqual(['a', 'd'])
    expect(ran).toEqual([])
  })
})
