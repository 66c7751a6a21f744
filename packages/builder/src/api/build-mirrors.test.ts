import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, startFaultyProxy, type Fault } from '@ts-oci/testing'
import type { BuildOptions } from '../build/public-types.ts'
import { build } from './build.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { pull } from './pull.ts'

describeWith(buildNeeds, 'a mirror that alters blobs', () => {
  let world: BuildWorld
  let made = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => world?.[Symbol.asyncDispose]())

  const faults: readonly [string, Fault][] = [
    ['in their first bytes', { flipByte: 3 }],
    ['in the middle', { flipByte: 200 }],
    ['and breaks off', { flipByte: 200, cutResponseAfter: 300 }],
  ]

  async function through(fault: Fault, work: (options: BuildOptions) => Promise<unknown>): Promise<void> {
    await using mirror = await startFaultyProxy(world.registry.host, ({ path }) =>
      path.includes('/blobs/') ? fault : undefined,
    )
    await work({ store: world.directory.join(`store-${++made}`), mirrors: [`${world.registry.host}=${mirror.host}`] })
    expect(mirror.seen.some(({ path }) => path.includes('/blobs/'))).toBe(true)
  }

  test.each(faults)('does not keep an image from being pulled: %s', async (_, fault) => {
    await through(fault, ({ store, mirrors }) => pull(world.base, { store, mirrors }))
  })

  test.each(faults)('does not keep a step from running on a base: %s', async (_, fault) => {
    const context = await world.context(`context-${made}`, { Dockerfile: 'FROM $BASE\nRUN busybox true\n' })
    await through(fault, (options) => build({ context, ...options }))
  })
})
