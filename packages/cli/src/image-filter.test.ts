import { expect, test } from '@jest/globals'
import { parseTimeBound, type ImageSummary } from '@ts-oci/builder'
import { imageFilter } from './image-filter.ts'

const HOUR = 3_600_000
const NOW = Date.UTC(2024, 0, 10)

function image(repository: string, hoursOld: number, labels: Readonly<Record<string, string>> = {}): ImageSummary {
  const digit = repository === '<none>' ? 'f' : (hoursOld % 10).toString(16)
  const id = `sha256:${digit.repeat(64)}` as ImageSummary['id']
  const tag = repository === '<none>' ? '<none>' : 'latest'
  return {
    repository,
    tag,
    id,
    digest: id,
    repositoryDigests: [],
    createdMs: NOW - hoursOld * HOUR,
    sizeBytes: 1,
    labels,
  }
}

const all = [
  image('new', 1),
  image('middle', 2, { team: 'web', stage: 'one' }),
  image('old', 3, { team: '' }),
  image('<none>', 4),
]

function names(...filters: readonly string[]): readonly string[] {
  const fits = imageFilter(filters, { all, parseTime: parseTimeBound, nowMs: NOW })
  return all.filter(fits).map(({ repository }) => repository)
}

test.each([
  [['dangling=true'], ['<none>']],
  [['before=middle'], ['old', '<none>']],
  [['before=middle:latest'], ['old', '<none>']],
  [['since=middle'], ['new']],
  [['since=222222222222'], ['new']],
  [['since=sha256:22'], ['new']],
  [['since=old', 'before=new'], ['middle']],
  [['until=150m'], ['old', '<none>']],
  [['until=2024-01-09T22:30'], ['middle', 'old', '<none>']],
  [['until=2024-01-09'], []],
  [['until=1704838000'], ['middle', 'old', '<none>']],
  [['label=team'], ['middle', 'old']],
  [['label=team=web'], ['middle']],
  [['label=team='], ['old']],
  [['label=team', 'label=stage=one'], ['middle']],
  [['label!=team'], ['new', '<none>']],
  [['label=toString'], []],
  [
    ['reference=m*', 'reference=new'],
    ['new', 'middle'],
  ],
])('%j lets through %j', (filters, expected) => expect(names(...filters)).toEqual(expected))

test.each(['until=soon', 'until=2024-13-01', 'label=', 'color=red', 'dangling=maybe', 'before='])(
  '%s is refused',
  (filter) => expect(() => names(filter)).toThrow(`--filter ${filter} is not supported`),
)

test('an image that is not there is said to be missing', () => {
  expect(() => names('since=nothing')).toThrow('No such image: nothing')
})
