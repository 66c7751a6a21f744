import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createCacheHttp } from '../http.ts'
import { startGhaServer, tokenFor, type GhaServer } from './gha-server.test.helper.ts'
import { findMutable, saveMutable } from './mutable-entry.ts'
import { createGhaService } from './service.ts'
import type { GhaService } from './types.ts'

const { signal } = new AbortController()
let server: GhaServer
let service: GhaService
beforeEach(async () => {
  server = await startGhaServer()
  const http = createCacheHttp({ place: 'the cache', tries: 1, timeoutMs: 10_000 })
  service = createGhaService({ version: 2, url: new URL(server.url), token: tokenFor({ main: 3 }) }, http)
})
afterEach(async () => {
  await server.stop()
})

const save = (text: string): Promise<void> =>
  saveMutable(service, 'index', Buffer.from(text), { signal, patienceMs: 300, pauseMs: 100 })
const texts = (): readonly string[] => server.entries.map(({ key, bytes }) => `${key} ${bytes.toString()}`)

test('each writing has the next number, and the newest is found', async () => {
  await save('first')
  await save('second')
  expect(texts()).toEqual(['index#1 first', 'index#2 second'])
  expect((await findMutable(service, 'index', signal))?.key).toBe('index#2')
})

test('a number that a killed job reserved is waited for, then stepped over', async () => {
  await save('first')
  const { version } = server.entries[0]!
  server.reserved.add(`main\nindex#2\n${version}`)
  const startedMs = Date.now()
  await save('second')
  expect(Date.now() - startedMs).toBeGreaterThanOrEqual(300)
  expect(texts()).toEqual(['index#1 first', 'index#3 second'])
})

test('a longer name that begins so is another', async () => {
  await service.save(
    'index#1-sig',
    {
      size: 1,
      open: async function* () {
        yield Buffer.from('x')
      },
    },
    signal,
  )
  expect(await findMutable(service, 'index', signal)).toBeUndefined()
})
