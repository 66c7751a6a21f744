import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { fillAsInspect } from './fill-inspection.ts'
import { compileTemplate, fillTemplate } from './fill-template.ts'
import { alignTabs } from '../render/tabs.ts'

interface Recorded {
  readonly document: unknown
  readonly recorded: readonly { readonly template: string; readonly output: string; readonly error: string }[]
}

/** What `docker image inspect --format` 28.5 made of generated templates: `scripts/templates/main.mjs --record`. */
const { document, recorded } = JSON.parse(
  readFileSync(new URL('docker-templates.json', import.meta.url), 'utf8'),
) as Recorded

describe('templates are filled as Docker fills them', () => {
  test('there are some hundred of them, most without an error', () => {
    expect(recorded.length).toBeGreaterThan(300)
    expect(recorded.filter(({ error }) => error === '').length).toBeGreaterThan(100)
  })

  test.each(recorded)('$template', ({ template, output, error }) => {
    expect(filled(template)).toEqual({ output, error })
  })
})

function filled(template: string): { output: string; error: string } {
  try {
    return { output: `${fillAsInspect(template, document)}\n`, error: '' }
  } catch (error) {
    return { output: '\n', error: (error as Error).message }
  }
}

describe('a template that would take all memory, all time or all of the stack ends with an error', () => {
  test.each([
    ['{{range 1000000000}}{{end}}', 'evaluates more than'],
    ['{{define "t"}}{{template "t"}}{{end}}{{template "t"}}', 'exceeded maximum template depth'],
    ['{{define "t"}}{{template "t"}}{{template "t"}}{{end}}{{template "t"}}', 'exceeded maximum template depth'],
    ['{{pad "x" 1000000000000 0}}', 'Repeat output length overflow'],
    ['{{range 100000}}{{printf "%1000000d" 1}}{{end}}', 'writes more than'],
    ['{{$s := printf "%1000000d" 1}}{{range 1000}}{{$s = print $s $s}}{{end}}', 'makes a text longer than'],
    [`{{${'('.repeat(20_000)}1${')'.repeat(20_000)}}}`, 'max expression depth exceeded'],
    [`${'{{if true}}'.repeat(20_000)}x${'{{end}}'.repeat(20_000)}`, 'max expression depth exceeded'],
  ])('%.60s', (template, reason) => expect(() => fillTemplate(template, {})).toThrow(reason))

  test('also where data nest deeper than the stack', () => {
    let data: unknown = []
    for (let depth = 0; depth < 100_000; depth++) data = [data]
    expect(() => fillTemplate('{{.}}', data)).toThrow('nested too deep')
  })
})

test('a template that is none is known before there is anything to fill in', () => {
  expect(() => compileTemplate('{{')).toThrow('template parsing error: template: :1: unclosed action')
})

// As text/tabwriter aligns them with Docker's settings.
test('cells are aligned over lines next to each other that have the column', () => {
  expect(alignTabs('A\tB\tC\nlonger-than-ten\tx\ty\nalone\nz\tw\n')).toBe(
    'A                 B         C\nlonger-than-ten   x         y\nalone\nz         w\n',
  )
})
