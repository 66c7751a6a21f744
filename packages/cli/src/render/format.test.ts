import { describe, expect, test } from '@jest/globals'
import { ellipsis, shortId } from './ids.ts'
import { renderListing } from './listing.ts'
import { renderTable } from './table.ts'
import { fillTemplate } from '../go-template/fill-template.ts'
import { ageOf, humanDuration, humanSize, parseBinarySize, parseDuration, transferSize } from './units.ts'

// Expected values: what `docker images`, `docker history` and `docker build` print for the same numbers.
describe('units', () => {
  test.each([
    [0, '0B'],
    [999, '999B'],
    [4_427_000, '4.43MB'],
    [72_800, '72.8kB'],
    [1_120_000_000, '1.12GB'],
    [999_900, '1000kB'],
  ])('%d bytes in a table are %s', (bytes, text) => expect(humanSize(bytes)).toBe(text))

  test.each([
    [529, '529B'],
    [1051, '1.05kB'],
    [29_126_000, '29.13MB'],
  ])('%d bytes of a transfer are %s', (bytes, text) => expect(transferSize(bytes)).toBe(text))

  test.each([
    [0, 'Less than a second'],
    [1, '1 second'],
    [45, '45 seconds'],
    [60, 'About a minute'],
    [3 * 60, '3 minutes'],
    [50 * 60, '50 minutes'],
    [60 * 60, 'About an hour'],
    [3 * 3600, '3 hours'],
    [47 * 3600, '47 hours'],
    [48 * 3600, '2 days'],
    [15 * 86_400, '2 weeks'],
    [60 * 86_400, '2 months'],
    [800 * 86_400, '2 years'],
  ])('%d seconds are %s', (seconds, text) => expect(humanDuration(seconds * 1000)).toBe(text))

  test('a time that is not known has no age', () => expect(ageOf(undefined)).toBe('N/A'))

  test('sizes beyond every memory stay numbers that the kernel takes', () => {
    for (const size of ['99999999999999g', '9'.repeat(400)]) expect(parseBinarySize(size)).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('sizes of flags count in powers of 1024', () => {
    expect([parseBinarySize('64m'), parseBinarySize('1.5k'), parseBinarySize('2GB'), parseBinarySize('x')]).toEqual([
      67_108_864,
      1536,
      2_147_483_648,
      undefined,
    ])
  })

  test('durations are those of Go', () => {
    expect([parseDuration('1h30m'), parseDuration('90s'), parseDuration('1d'), parseDuration('')]).toEqual([
      5_400_000,
      90_000,
      undefined,
      undefined,
    ])
  })
})

test('a table has columns of at least ten, three blanks between, and nothing after the last', () => {
  expect(
    renderTable([
      ['A', 'B'],
      ['a-long-cell', 'x'],
    ]),
  ).toBe('A             B\na-long-cell   x\n')
  expect(
    renderTable([
      ['A', 'B'],
      ['1', 'x'],
    ]),
  ).toBe('A         B\n1         x\n')
})

test('ids are cut, names are not', () => {
  expect(shortId(`sha256:${'ab'.repeat(32)}`)).toBe('abababababab')
  expect(shortId('<missing>')).toBe('<missing>')
  expect(ellipsis('x'.repeat(50), 45)).toBe(`${'x'.repeat(44)}…`)
})

// Expected values: Go's text/template with Docker's functions.
describe('templates', () => {
  const data = { ID: 'abc', Tags: ['a', 'b'], Config: { Env: ['X=1'], Labels: { 'a.b': 'c' } }, Size: 3, None: null }

  test.each([
    ['{{.ID}}: {{.Size}}', 'abc: 3'],
    ['{{json .Tags}}', '["a","b"]'],
    // A map has its keys in order.
    ['{{json .}}', '{"Config":{"Env":["X=1"],"Labels":{"a.b":"c"}},"ID":"abc","None":null,"Size":3,"Tags":["a","b"]}'],
    ['{{.Tags}} {{.Config.Labels}} {{.None}}', '[a b] map[a.b:c] <no value>'],
    ['{{join .Tags ","}}', 'a,b'],
    ['{{.Tags | json}}', '["a","b"]'],
    ['{{index .Tags 1}}{{index .Config.Labels "a.b"}}', 'bc'],
    ['{{range .Tags}}<{{.}}>{{else}}none{{end}}', '<a><b>'],
    ['{{range .None}}x{{else}}none{{end}}', 'none'],
    ['{{if eq .Size 3}}three{{else if .None}}none{{else}}other{{end}}', 'three'],
    ['{{if .None}}a{{else if eq .Size 4}}b{{else}}c{{end}}', 'c'],
    ['{{with .Config}}{{index .Env 0}}{{end}}', 'X=1'],
    ['{{upper (index .Tags 0)}}', 'A'],
    ['a {{- .ID -}} b', 'aabcb'],
    ['{{printf "%-5s|%q" .ID .ID}}', 'abc  |"abc"'],
    ['{{/* nothing */}}{{len .Tags}}', '2'],
    ['{{"}}"}}', '}}'],
  ])('%s', (template, expected) => expect(fillTemplate(template, data)).toBe(expected))

  test.each([
    ['{{nope .ID}}', 'function "nope" not defined'],
    ['{{if .ID}}', 'unexpected EOF'],
    ['{{.ID', 'unclosed action'],
    ['{{$x}}', 'undefined variable "$x"'],
  ])('%s is refused', (template, reason) => expect(() => fillTemplate(template, data)).toThrow(reason))
})

describe('listings', () => {
  const rows = [{ ID: '1', Name: 'one' }]
  const columns = [
    { header: 'IMAGE ID', field: 'ID' },
    { header: 'NAME', field: 'Name' },
  ] as const

  test('a table template brings its headers', async () => {
    expect(await renderListing(rows, { columns, format: 'table {{.Name}}\t{{.ID}}', only: undefined })).toBe(
      'NAME      IMAGE ID\none       1\n',
    )
    expect(await renderListing(rows, { columns, format: String.raw`table {{.Name}}\t{{.ID}}`, only: undefined })).toBe(
      'NAME      IMAGE ID\none       1\n',
    )
  })

  test('json is one object a line', async () => {
    expect(await renderListing(rows, { columns, format: 'json', only: undefined })).toBe('{"ID":"1","Name":"one"}\n')
  })

  test('quiet is one field a line', async () => {
    expect(await renderListing(rows, { columns, format: undefined, only: 'ID' })).toBe('1\n')
  })

  test('an empty table is its headers', async () => {
    expect(await renderListing([] as typeof rows, { columns, format: undefined, only: undefined })).toBe(
      'IMAGE ID   NAME\n',
    )
  })
})
