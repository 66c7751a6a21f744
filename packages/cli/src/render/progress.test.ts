import { describe, expect, test } from '@jest/globals'
import type { ProgressEvent } from '@ts-oci/builder'
import { plainRenderer } from './plain.ts'
import { rawJsonRenderer } from './raw-json.ts'
import { safeLine } from './terminal-text.ts'
import { foldEvent, newTrace } from './trace.ts'
import { composeFrame } from './tty-frame.ts'

const base = Date.UTC(2024, 0, 1)

function vertex(
  id: string,
  name: string,
  rest: Partial<Extract<ProgressEvent, { type: 'vertex' }>> = {},
): ProgressEvent {
  return { type: 'vertex', id, name, inputs: [], startedMs: base, ...rest }
}

function log(id: string, text: string | Uint8Array, atMs = 123): ProgressEvent {
  const data = typeof text === 'string' ? Buffer.from(text) : text
  return { type: 'log', vertex: id, stream: 'stdout', data, timestampMs: base + atMs }
}

function plain(events: readonly ProgressEvent[]): string {
  let text = ''
  let nowMs = base
  const renderer = plainRenderer(
    (part) => {
      text += part
    },
    () => (nowMs += 1),
  )
  for (const event of events) renderer.event(event)
  renderer.finish()
  return text
}

// Expected values: the plain output of `docker buildx build --progress=plain`.
describe('plain progress', () => {
  test('a step shows its name, its output with times, and how long it took', () => {
    const events = [
      vertex('a', '[2/2] RUN echo hi'),
      log('a', 'hi\nthere\n'),
      vertex('a', '[2/2] RUN echo hi', { completedMs: base + 240 }),
    ]
    expect(plain(events)).toBe('#1 [2/2] RUN echo hi\n#1 0.123 hi\n#1 0.123 there\n#1 DONE 0.2s\n')
  })

  test('a cached step says so, and a blank line parts the steps', () => {
    const events = [vertex('a', 'one', { completedMs: base, cached: true }), vertex('b', 'two', { completedMs: base })]
    expect(plain(events)).toBe('#1 one\n#1 CACHED\n\n#2 two\n#2 DONE 0.0s\n')
  })

  test('a step that missed the cache says why, once', () => {
    const events = [
      vertex('a', 'RUN make', { missReason: 'variable MODE changed' }),
      vertex('a', 'RUN make', { missReason: 'variable MODE changed', completedMs: base + 100 }),
    ]
    expect(plain(events)).toBe('#1 RUN make\n#1 not cached: variable MODE changed\n#1 DONE 0.1s\n')
  })

  test('a step that a cache from elsewhere had names it', () => {
    const events = [vertex('a', 'RUN make', { completedMs: base, cached: true, cacheOrigin: 'user/app:cache' })]
    expect(plain(events)).toBe('#1 RUN make\n#1 from the cache user/app:cache\n#1 CACHED\n')
  })

  test('a vertex that never started is not shown', () => {
    expect(plain([{ type: 'vertex', id: 'a', name: 'one', inputs: [] }])).toBe('')
  })

  test('what ends while another runs is shown at once, and the other comes back', () => {
    const events = [
      vertex('a', 'one'),
      log('a', 'x\n'),
      vertex('b', 'two', { completedMs: base + 100 }),
      log('a', 'y\n'),
      vertex('a', 'one', { completedMs: base + 900 }),
    ]
    expect(plain(events)).toBe(
      '#1 one\n#1 0.123 x\n#1 ...\n\n#2 two\n#2 DONE 0.1s\n\n#1 one\n#1 0.123 y\n#1 DONE 0.9s\n',
    )
  })

  test('a line that comes in pieces, cut inside a character, is one line', () => {
    const bytes = Buffer.from('grün\n')
    const events = [
      vertex('a', 'one'),
      log('a', bytes.subarray(0, 3)),
      log('a', bytes.subarray(3)),
      vertex('a', 'one', { completedMs: base + 200 }),
    ]
    expect(plain(events)).toContain('#1 0.123 grün\n')
  })

  test('the last line is shown without its line feed', () => {
    expect(plain([vertex('a', 'one'), log('a', 'end'), vertex('a', 'one', { completedMs: base + 200 })])).toBe(
      '#1 one\n#1 0.200 end\n#1 DONE 0.2s\n',
    )
  })

  test('a transfer shows its bytes at its beginning, at steps, and when it is done', () => {
    const status = (current: number, completedMs?: number): ProgressEvent => {
      return {
        type: 'status',
        vertex: 'a',
        id: 's',
        text: 'sha256:ab',
        current,
        total: 100_000,
        startedMs: base,
        ...(completedMs === undefined ? {} : { completedMs }),
      }
    }
    const text = plain([
      vertex('a', 'pull'),
      status(0),
      status(1000),
      status(2000),
      status(60_000),
      status(100_000, base + 300),
      vertex('a', 'pull', { completedMs: base + 400 }),
    ])
    expect(text.match(/sha256:ab .*? \//g)).toEqual(['sha256:ab 0B /', 'sha256:ab 60.00kB /', 'sha256:ab 100.00kB /'])
    expect(text).toContain('#1 sha256:ab 100.00kB / 100.00kB 0.3s done\n')
  })

  test('a failed step ends with its last output below everything', () => {
    const events = [
      vertex('a', 'RUN false'),
      log('a', 'oh no\n'),
      vertex('a', 'RUN false', { completedMs: base + 100, error: 'exit code: 1' }),
    ]
    expect(plain(events)).toBe(
      '#1 RUN false\n#1 0.123 oh no\n#1 ERROR: exit code: 1\n------\n > RUN false:\noh no\n------\n',
    )
  })

  test('a canceled step is not shown as failed', () => {
    const text = plain([
      vertex('a', 'RUN sleep 9'),
      vertex('a', 'RUN sleep 9', { completedMs: base + 100, error: 'canceled', canceled: true }),
    ])
    expect(text).toBe('#1 RUN sleep 9\n#1 CANCELED\n')
  })
})

describe('a frame of the live display', () => {
  const options = {
    phase: 'Building',
    color: false,
    width: 50,
    height: 10,
    startedMs: base,
    nowMs: base + 2000,
    isFinal: false,
  }

  function frame(events: readonly ProgressEvent[], changes: Partial<typeof options> = {}): string[] {
    const trace = newTrace(100)
    for (const event of events) foldEvent(trace, event)
    return composeFrame(trace, { ...options, ...changes })
  }

  test('running steps show their time and the end of their output', () => {
    const lines = frame([
      vertex('a', 'RUN make'),
      log('a', '1\n2\n3\n'),
      vertex('b', 'done', { completedMs: base + 100, cached: true }),
    ])
    expect(lines[0]).toBe('[+] Building 2.0s (1/2)')
    expect(lines[1]).toBe(` => RUN make${' '.repeat(33)}2.0s`)
    expect(lines.slice(2, 5)).toEqual([' => => # 1', ' => => # 2', ' => => # 3'])
    expect(lines[5]).toBe(` => CACHED done${' '.repeat(30)}0.1s`)
  })

  test('no line is wider than the terminal, and no frame higher', () => {
    const events = Array.from({ length: 30 }, (_, i) =>
      vertex(String(i), `RUN ${'字'.repeat(60)} ${i}`, i < 20 ? { completedMs: base } : {}),
    )
    const lines = frame(events)
    expect(lines.length).toBeLessThanOrEqual(9)
    for (const line of lines) expect(line.length).toBeLessThan(50)
    expect(lines.at(-1)).toContain('2.0s')
  })

  test.each([1, 5, 8, 12])('no line breaks on a terminal of %i columns', (width) => {
    const events = [vertex('a', 'RUN make', { completedMs: base }), vertex('b', 'RUN make test'), log('b', 'output\n')]
    for (const isFinal of [false, true])
      for (const line of frame(events, { width, isFinal })) expect(line.length).toBeLessThanOrEqual(width - 1)
  })

  test('the last frame shows everything', () => {
    const events = Array.from({ length: 30 }, (_, i) => vertex(String(i), `step ${i}`, { completedMs: base }))
    const lines = frame(events, { isFinal: true })
    expect(lines.length).toBe(31)
    expect(lines[0]).toContain('FINISHED')
  })

  test('transfers show their bytes', () => {
    const status: ProgressEvent = {
      type: 'status',
      vertex: 'a',
      id: 's',
      text: 'sha256:ab',
      current: 1_500_000,
      total: 3_000_000,
      startedMs: base,
    }
    expect(frame([vertex('a', 'pull'), status])[2]).toMatch(/^ => => sha256:ab 1\.50MB \/ 3\.00MB +2\.0s$/)
  })

  test('output cannot move the cursor or retitle the terminal', () => {
    expect(safeLine('a\u001b[2J\u001b]0;title\u0007b\u0008c\r')).toBe('abc')
    expect(safeLine('10%\r50%\r100%')).toBe('100%')
  })
})

test("raw JSON has the members of BuildKit's status", () => {
  const lines: string[] = []
  const renderer = rawJsonRenderer((text) => lines.push(text))
  renderer.event(vertex('sha256:a', 'one', { cached: true }))
  renderer.event(log('sha256:a', 'hi\n'))
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { vertexes: [{ digest: 'sha256:a', inputs: [], name: 'one', started: '2024-01-01T00:00:00.000Z', cached: true }] },
    { logs: [{ vertex: 'sha256:a', stream: 1, data: 'aGkK', timestamp: '2024-01-01T00:00:00.123Z' }] },
  ])
})
