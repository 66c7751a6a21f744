import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import type { ProgressEvent } from '@ts-oci/builder'
import { failureLog } from './failure-log.ts'
import { plainRenderer } from './plain.ts'
import { boundedWriter } from './renderer.ts'
import { foldEvent, newTrace } from './trace.ts'
import { composeFrame } from './tty-frame.ts'

function started(id: string): ProgressEvent {
  return { type: 'vertex', id, name: `RUN ${id}`, inputs: [], startedMs: 0 }
}

function failed(id: string): ProgressEvent {
  return { type: 'vertex', id, name: `RUN ${id}`, inputs: [], startedMs: 0, completedMs: 1, error: 'exit code: 1' }
}

function log(id: string, data: string | Uint8Array): ProgressEvent {
  return { type: 'log', vertex: id, stream: 'stdout', data: Buffer.from(data), timestampMs: 0 }
}

/** The text of the plain display. */
function plain(events: Iterable<ProgressEvent>): string {
  const parts: string[] = []
  const renderer = plainRenderer((text) => void parts.push(text))
  for (const event of events) renderer.event(event)
  renderer.finish()
  return parts.join('')
}

function* repeated(count: number, event: ProgressEvent): Generator<ProgressEvent> {
  for (let i = 0; i < count; i++) yield event
}

function expectQuick(work: () => void): void {
  const startMs = processorMs()
  work()
  expect(processorMs() - startMs).toBeLessThan(4000)
}

describe('output of a step', () => {
  test('without a line feed is cut, and costs what it is long', () => {
    expectQuick(() => {
      const text = plain([started('a'), ...repeated(1000, log('a', 'x'.repeat(64_000))), failed('a')])
      expect(text.length).toBeLessThan(200_000)
      expect(text).toMatch(/x \[\d+ more characters\]\n#1 ERROR/)
    })
  })

  test('without a line feed, a byte at a time', () => {
    expectQuick(() => {
      const event = log('a', 'x')
      expect(
        plain(
          (function* () {
            yield started('a')
            yield* repeated(300_000, event)
            yield failed('a')
          })(),
        ).length,
      ).toBeLessThan(200_000)
    })
  })

  test('of a million lines is shown whole, and the failure log keeps the last of them', () => {
    expectQuick(() => {
      const trace = newTrace()
      foldEvent(trace, started('a'))
      for (const event of repeated(1000, log('a', 'line\n'.repeat(1000)))) foldEvent(trace, event)
      foldEvent(trace, failed('a'))
      expect(failureLog(trace).length).toBeLessThan(200)
    })
    const text = plain([started('a'), ...repeated(100, log('a', 'line\n'.repeat(1000))), failed('a')])
    expect(text.match(/line\n/g)).toHaveLength(100_000 + 20)
  })

  test('of a progress bar is its last state', () => {
    const bar = Array.from({ length: 101 }, (_, i) => `\r${i}%`).join('')
    const text = plain([started('a'), log('a', bar), log('a', '\rdone'), log('a', '\r\nnext\r\n'), failed('a')])
    expect(text).toContain('#1 0.000 done\n#1 0.000 next\n')
    expect(text).not.toContain('%')
  })

  test('keeps characters that are cut between chunks, and shows bytes that are none', () => {
    const bytes = Buffer.from('grün ✓\n')
    const cut = [...bytes].map((byte) => log('a', Uint8Array.of(byte)))
    expect(plain([started('a'), ...cut, log('a', Uint8Array.of(0xff, 0x9b, 0x0a)), failed('a')])).toContain(
      '#1 0.000 grün ✓\n#1 0.000 \ufffd\ufffd\n',
    )
  })

  test('reaches a log without what a terminal acts on, and cannot pass for a line of ours', () => {
    const text = plain([
      started('a'),
      log('a', '\u001b]52;c;aGk=\u0007\u001b[2Jx\r#2 DONE 0.1s\n\u001b[31mred\n'),
      { ...failed('a'), error: 'bad\n#2 DONE' } as ProgressEvent,
    ])
    expect(text).toContain('#1 0.000 #2 DONE 0.1s\n#1 0.000 \u001b[31mred\u001b[0m\n#1 ERROR: bad\n#1 #2 DONE\n')
    expect(text.replaceAll(/\u001b\[[0-9;]*m/g, '')).toMatch(/^[\n -~]*$/)
  })

  test('of a step that has not got the floor does not pile up', () => {
    const parts: string[] = []
    const renderer = plainRenderer(
      (text) => void parts.push(text),
      () => 0,
    )
    for (const event of [started('a'), log('a', 'x\n'), started('b')]) renderer.event(event)
    for (const event of repeated(100, log('b', 'y'.repeat(30_000) + '\n'))) renderer.event(event)
    expect(parts.join('').length).toBeGreaterThan(1_000_000)
    renderer.finish()
  })
})

test('progress that nobody reads is left out, which is said when it goes on', () => {
  const written: string[] = []
  const output = { write: (text: string) => void written.push(text), writableLength: 0 }
  const write = boundedWriter(output, (left) => `[${left} left out]`)
  write('a')
  output.writableLength = 20_000_000
  write('bb')
  write('c')
  output.writableLength = 0
  write('d')
  write('e')
  expect(written).toEqual(['a', '[3 left out]d', 'e'])
})

describe('a live display costs what the screen holds', () => {
  const options = { phase: 'Building', color: false, width: 80, height: 24, startedMs: 0, nowMs: 1, isFinal: false }

  test('with many vertices', () => {
    const trace = newTrace()
    for (let i = 0; i < 100_000; i++) foldEvent(trace, { ...started(`v${i}`), ...(i === 5 ? {} : { completedMs: 1 }) })
    expectQuick(() => {
      for (let i = 0; i < 200; i++) composeFrame(trace, options)
    })
    expect(composeFrame(trace, options)[0]).toContain('(99999/100000)')
    expect(composeFrame(trace, options)[1]).toContain('RUN v5')
  })

  test('with many statuses of one', () => {
    const trace = newTrace()
    foldEvent(trace, started('a'))
    expectQuick(() => {
      for (let i = 0; i < 200_000; i++)
        foldEvent(trace, {
          type: 'status',
          vertex: 'a',
          id: `s${i}`,
          text: `s${i}`,
          startedMs: 0,
          completedMs: 1,
        })
      for (let i = 0; i < 200; i++) composeFrame(trace, options)
    })
  })
})
