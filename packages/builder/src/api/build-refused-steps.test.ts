import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, nodeFlags } from '@ts-oci/testing'
import { fileURLToPath } from 'node:url'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { ProgressEvent } from '../base/progress.ts'
import type { BuildOptions } from '../build/public-types.ts'

/** Tells how each vertex ended, and where the error lies. */
const program = `
const { build } = await import(${JSON.stringify(fileURLToPath(new URL('build.ts', import.meta.url)))})
const vertices = {}
const onProgress = (event) => { if (event.type === 'vertex') vertices[event.id] = event }
const error = await build({ ...JSON.parse(process.argv[1]), onProgress }).then(() => undefined, (error) => error)
const { code, message, location } = error ?? {}
process.stdout.write(JSON.stringify({ code, message, line: location?.startLine, vertices: Object.values(vertices) }))
`

/** Root that may make no namespace, as a container gives it. */
const refuse = `for kind in user mnt pid; do echo 0 > /proc/sys/user/max_\${kind}_namespaces; done; exec "$@"`

interface Told {
  readonly code?: string
  readonly line?: number
  readonly vertices: readonly Extract<ProgressEvent, { type: 'vertex' }>[]
}

describeWith([...buildNeeds, 'unshare'], 'where the machine lets no step be set up', () => {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
    await world.context('app', {
      file: 'x\n',
      Dockerfile: 'FROM $BASE\nCOPY file /file\nRUN true\nRUN echo two\n',
      'stages.Dockerfile': 'FROM $BASE AS one\nCOPY file /\nRUN echo one > /one\nFROM $BASE\nCOPY --from=one /one /\n',
      'files.Dockerfile': 'FROM $BASE\nCOPY file /file\n',
    })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function buildRefused(more: BuildOptions): Promise<Told> {
    const options: BuildOptions = { context: world.directory.join('app'), store: world.store, ...more }
    const node = [process.execPath, ...nodeFlags, '--input-type=module', '-e', program, JSON.stringify(options)]
    const words = ['--user', '--map-root-user', '--mount', 'sh', '-c', refuse, 'sh', ...node]
    return JSON.parse(await checkTool('unshare', words)) as Told
  }

  function errorsOf({ vertices }: Told): readonly string[] {
    return vertices.filter(({ error, canceled }) => error !== undefined && !canceled).map(({ name }) => name)
  }

  test.each([
    ['with a base that must be fetched', { file: 'Dockerfile' }, '[3/4] RUN true'],
    ['with a base that is at hand', { file: 'Dockerfile' }, '[3/4] RUN true'],
    ['in another stage', { file: 'stages.Dockerfile' }, '[one 3/3] RUN echo one > /one'],
  ])('the first RUN has the error, once: %s', async (_what, { file }, step) => {
    const told = await buildRefused({ file: world.directory.join('app', file) })
    expect(told.code).toBe('OCI_RUNTIME_ISOLATION_UNAVAILABLE')
    expect(told.line).toBe(3)
    expect(errorsOf(told)).toEqual([step])
  })

  test('a build without a RUN needs none', async () => {
    const told = await buildRefused({ file: world.directory.join('app', 'files.Dockerfile'), noCache: true })
    expect(told.code).toBeUndefined()
    expect(errorsOf(told)).toEqual([])
  })
})
