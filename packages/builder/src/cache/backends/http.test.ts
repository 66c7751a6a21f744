import { expect, test } from '@jest/globals'
import { startStandIn, type Answer } from '@ts-oci/testing'
import { createCacheHttp, type CacheHttpOptions } from './http.ts'

const { signal } = new AbortController()
const options: CacheHttpOptions = { place: 'the place', tries: 3, timeoutMs: 10_000, retryDelayMs: 10 }

async function withServer<T>(answer: Answer, work: (url: URL) => Promise<T>): Promise<T> {
  await using server = await startStandIn((request, response) => {
    request.resume()
    return answer(request, response)
  })
  return await work(new URL(`http://${server.host}/key?sig=secret`))
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all).toString()
}

test('what a server cannot do just now is asked again, with a new signature, and no more often than said', async () => {
  let asked = 0
  const signatures: (string | undefined)[] = []
  const answer: Answer = ({ headers }, response) => {
    signatures.push(headers['x-time'] as string)
    response.writeHead(503).end()
  }
  await withServer(answer, async (url) => {
    const headers = (): Record<string, string> => ({ 'x-time': String(++asked) })
    const { status } = await createCacheHttp(options).ask({ method: 'GET', url, headers, signal })
    expect(status).toBe(503)
  })
  expect(signatures).toEqual(['1', '2', '3'])
})

test('a pause longer than there is time is not made', async () => {
  const startedMs = Date.now()
  await withServer(
    (_, response) => void response.writeHead(429, { 'retry-after': '3600' }).end(),
    async (url) => {
      const { status } = await createCacheHttp(options).ask({ method: 'GET', url, headers: () => ({}), signal })
      expect(status).toBe(429)
    },
  )
  expect(Date.now() - startedMs).toBeLessThan(5000)
})

test('who was asked to wait waits with every request', async () => {
  const times: number[] = []
  const answer: Answer = (_, response) => {
    times.push(Date.now())
    response.writeHead(times.length === 1 ? 429 : 200, { 'retry-after': '1' }).end()
  }
  await withServer(answer, async (url) => {
    const http = createCacheHttp(options)
    const first = http.ask({ method: 'GET', url, headers: () => ({}), signal })
    while (times.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await Promise.all([first, http.ask({ method: 'GET', url, headers: () => ({}), signal })])
  })
  expect(times).toHaveLength(3)
  for (const time of times.slice(1)) expect(time - times[0]!).toBeGreaterThanOrEqual(990)
})

test('an answer larger than asked for is refused before it is all here', async () => {
  const answer: Answer = (_, response) => {
    response.writeHead(200)
    const more = (): void => void (response.writableEnded || response.write(Buffer.alloc(1 << 16), more))
    more()
  }
  await withServer(answer, async (url) => {
    const asked = createCacheHttp(options).ask({ method: 'GET', url, headers: () => ({}), signal, maxBytes: 1 << 20 })
    await expect(asked).rejects.toMatchObject({
      code: 'OCI_CACHE_FAILED',
      message: expect.stringContaining('more than 1048576 bytes'),
    })
  })
})

test.each([
  ['goes on where it was', true],
  ['skips what it had, of a server without ranges', false],
])('a body that breaks off %s', async (_, knowsRanges) => {
  const text = 'abcdefghij'.repeat(10_000)
  let asked = 0
  const answer: Answer = ({ headers }, response) => {
    if (asked++ === 0) {
      response.writeHead(200, { 'content-length': text.length })
      return void response.write(text.slice(0, 33_333), () => setTimeout(() => response.destroy(), 50))
    }
    const first = knowsRanges ? Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]) : 0
    response.writeHead(knowsRanges ? 206 : 200).end(text.slice(first))
  }
  await withServer(answer, async (url) => {
    const http = createCacheHttp(options)
    expect(await readAll(http.read({ url, headers: (own = {}) => own, signal }, text.length))).toBe(text)
  })
  expect(asked).toBe(2)
})

test('nobody there is a failure that names the place and not the secret', async () => {
  const url = await withServer(
    () => undefined,
    async (gone) => gone,
  )
  const failure: unknown = await createCacheHttp({ ...options, tries: 1 })
    .ask({ method: 'GET', url, headers: () => ({}), signal })
    .catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'OCI_CACHE_FAILED', message: expect.stringMatching(/^the place: .*refused/) })
  expect(String(failure)).not.toContain('secret')
})

test('a build that is ended waits for nothing', async () => {
  const stop = new AbortController()
  await withServer(
    () => void setTimeout(() => stop.abort(), 50),
    async (url) => {
      const asked = createCacheHttp(options).ask({ method: 'GET', url, headers: () => ({}), signal: stop.signal })
      await expect(asked).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    },
  )
})
