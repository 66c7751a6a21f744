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
  const summary = summarizeVertices(vertex('base', 3, [], 'cached'), vertex('step', 20, ['base']))
  expect(summary).toMatchObject({ cached: ['base'], ranCount: 1, criticalPath: [{ name: 'step', durationMs: 20 }] })
})

test('the five slowest steps are listed, outputs among them', () => {
  const vertices = [1, 2, 3, 4, 5].map((ms) => vertex(`step ${ms}`, ms))
  const internalSteps = [{ name: 'exporting', startedMs: 1100, durationMs: 4.5 }]
  const { slowest, durationMs } = summarize({ vertices, internalSteps, traffic: { fetchedBytes: 0, sentBytes: 0 } })
  expect(slowest.map(({ name }) => name)).toEqual(['step 5', 'exporting', 'step 4', 'step 3', 'step 2'])
  expect(durationMs).toBe(104.5)
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
