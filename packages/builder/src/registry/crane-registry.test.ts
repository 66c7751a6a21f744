import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { findTool, freePort, startFaultyProxy, temporaryDirectory, testWith } from '@ts-oci/testing'
import { digestOf } from '../oci/digest.ts'
import { openStore } from '../store/store.ts'
import { createRegistryClient } from './client.ts'
import { pullLayer } from './pull.ts'

/** The registry of go-containerregistry, which is none of distribution's: another reading of the specification. */
async function startCraneRegistry() {
  const host = `127.0.0.1:${await freePort()}`
  const child = spawn(findTool('crane')!, ['registry', 'serve', '--address', host], { stdio: 'ignore' })
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await fetch(`http://${host}/v2/`).catch(() => undefined)) break
    await sleep(50)
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return { host, [Symbol.asyncDispose]: stop }
}

testWith(['crane'], "crane's registry takes a blob once, and gives its rest after a cut", async () => {
  await using directory = await temporaryDirectory()
  await using store = await openStore({ root: directory.join('store') })
  await using registry = await startCraneRegistry()
  let cuts = 1
  await using line = await startFaultyProxy(registry.host, ({ method, path }) =>
    method === 'GET' && path.includes('/blobs/') && cuts-- > 0 ? { cutResponseAfter: 100_000 } : undefined,
  )
  const content = Buffer.alloc(400_000, 'layer')
  const layer = { mediaType: 'x/y', digest: digestOf(content), size: content.length }
  const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
    yield content.subarray(offset)
  }
  await using client = createRegistryClient({ retries: 2, retryDelayMs: 1 })
  const [first, second] = [client.repository(`${line.host}/first`), client.repository(`${line.host}/second`)]
  expect(await client.uploadBlob(first, layer, { open })).toBe('uploaded')
  // It keeps blobs for all repositories together.
  expect(await client.uploadBlob(second, layer, { open, mountFrom: ['first'] })).toBe('exists')
  expect(await pullLayer(client, layer, [`${line.host}/second`], { blobs: store.blobs })).toEqual({ fetched: true })
  expect(line.seen.filter(({ headers }) => headers.range !== undefined).map(({ headers }) => headers.range)).toEqual([
    'bytes=100000-399999',
  ])
})
