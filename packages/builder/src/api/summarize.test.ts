import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { mkdir, writeFile } from 'node:fs/promises'
import type { BuildResult, VertexReport } from '../build/public-types.ts'
import { digestOf } from '../oci/digest.ts'
import { build } from './build.ts'
import { summarize } from './summarize.ts'

function vertex(
  name: string,
  durationMs: number,
  inputs: readonly string[] = [],
  status: VertexReport['status'] = 'ran',
): VertexReport {
  return { digest: digestOf(name), name, status, inputs: inputs.map(digestOf), startedMs: 1000, durationMs }
}

function summarizeVertices(...vertices: VertexReport[]) {
  return summarize({ vertices, internalSteps: [], traffic: { fetchedBytes: 7, sentBytes: 9 } })
}

test('the critical path is the chain that took longest, whatever ran beside it', () => {
  const { criticalPath } = summarizeVertices(
    vertex('base', 10),
    vertex('compile', 50, ['base']),
    vertex('fetch', 30, ['base']),
    vertex('unpack', 40, ['fetch']),
    vertex('join', 5, ['compile', 'unpack']),
  )
  expect(criticalPath.map(({ name }) => name)).toEqual(['base', 'fetch', 'unpack', 'join'])
})

test('what was cached is counted apart: it has no part in the critical path', () => {
  const summary = summarizeVertices(vertex('base', 30, [], 'cached'), vertex('step', 20, ['base']))
  expect(summary).toMatchObject({ cached: ['base'], ranCount: 1, criticalPath: [{ name: 'step', durationMs: 20 }] })
})

test('the five slowest steps are listed, outputs among them', () => {
  const vertices = [10, 20, 30, 40, 50].map((ms) => vertex(`step ${ms}`, ms))
  const internalSteps = [{ name: 'exporting', startedMs: 1100, durationMs: 45 }]
  const { slowest, durationMs } = summarize({ vertices, internalSteps, traffic: { fetchedBytes: 0, sentBytes: 0 } })
  expect(slowest.map(({ name }) => name)).toEqual(['step 50', 'exporting', 'step 40', 'step 30', 'step 20'])
  expect(durationMs).toBe(145)
})

test('reading the build context is no instruction that ran, and may be slow all the same', () => {
  const context = '[internal] load build context'
  const summary = summarizeVertices(vertex(context, 300), vertex('COPY', 20, [context]), vertex('FROM', 7))
  expect(summary.ranCount).toBe(2)
  expect(summary.slowest[0]).toEqual({ name: context, durationMs: 300 })
})

test('the critical path begins with what the steps waited for and ends with the outputs', () => {
  const internal = (name: string, startedMs: number, durationMs: number) => ({ name, startedMs, durationMs })
  const { criticalPath } = summarize({
    vertices: [vertex('FROM', 50), vertex('RUN', 100, ['FROM'])].map((one, index) => ({
      ...one,
      startedMs: 1000 + 50 * index,
    })),
    internalSteps: [
      internal('definition', 500, 100),
      internal('metadata of one base', 600, 300),
      internal('metadata of another, meanwhile', 610, 80),
      internal('told during the steps', 1010, 90),
      internal('exporting', 1150, 400),
    ],
    traffic: { fetchedBytes: 0, sentBytes: 0 },
  })
  const names = criticalPath.map(({ name }) => name)
  expect(names).toEqual(['definition', 'metadata of one base', 'FROM', 'RUN', 'exporting'])
})

test('what took less than 5 ms, 0.00 s in a list, is in no list', () => {
  const { slowest, criticalPath, ranCount } = summarizeVertices(vertex('quick', 4.9), vertex('slow', 5, ['quick']))
  expect([slowest, criticalPath].map((steps) => steps.map(({ name }) => name))).toEqual([['slow'], ['slow']])
  expect(ranCount).toBe(2)
})

test('a build of which nothing ran took no time', () => {
  expect(summarizeVertices()).toMatchObject({ durationMs: 0, slowest: [], criticalPath: [], fetchedBytes: 7 })
})

test('a result says when each vertex began, what it reads, and what else took time', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(directory.join('context'))
  await writeFile(directory.join('context/a'), 'a')
  const beforeMs = Date.now()
  const options = { context: directory.join('context'), store: directory.join('store') }
  const dockerfile = 'FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\n'
  const first: BuildResult = await build({ ...options, dockerfile })
  const byName = (text: string): VertexReport => first.vertices.find(({ name }) => name.includes(text))!
  expect(byName('COPY --from').inputs).toContain(byName('COPY a').digest)
  expect(byName('COPY a').startedMs).toBeGreaterThanOrEqual(beforeMs)
  expect(byName('COPY --from').startedMs).toBeGreaterThanOrEqual(byName('COPY a').startedMs)
  expect(first.internalSteps.map(({ name }) => name)).toContain('exporting to image')
  expect(first.traffic).toEqual({ fetchedBytes: 0, sentBytes: 0 })
  const again = summarize(await build({ ...options, dockerfile }))
  expect(again.cached).toEqual(expect.arrayContaining([byName('COPY a').name, byName('COPY --from').name]))
  expect(again.criticalPath.map(({ name }) => name)).not.toContain(byName('COPY a').name)
})
