import { expect, test } from '@jest/globals'
import type { UsageRecord } from './types.ts'
import { parseUsageFilters } from './usage-filter.ts'

const base: UsageRecord = {
  id: 'abc1',
  parents: ['p1', 'p2'],
  description: 'mount / from exec npm ci',
  type: 'regular',
  isMutable: false,
  isInUse: false,
  isShared: true,
  sizeBytes: 1,
  createdMs: 0,
  usageCount: 1,
}

// What buildx 0.29.1 made of `--filter` before BuildKit matched it: `=` is equal, for an id a regular expression.
test.each([
  [['id=bc'], true],
  [['id=^bc'], false],
  [['id~=^abc'], true],
  [['id!=abc1'], false],
  [['id==abc1'], true],
  [['type=regular'], true],
  [['type==regular'], true],
  [['type!=regular'], false],
  [['type~=reg|x'], true],
  [['TYPE=regular'], true],
  [['description~=npm'], true],
  [['description=npm'], false],
  [['description="mount / from exec npm ci"'], true],
  [['parents=p1;p2'], true],
  [['parents~=p2'], true],
  [['parents'], true],
  [['shared'], true],
  [['shared=true'], true],
  [['shared=false'], false],
  [['shared!=true'], false],
  [['private'], false],
  [['mutable=false'], true],
  [['immutable'], true],
  [['inuse'], false],
  [['inuse=0'], true],
  [['type=regular', 'inuse'], false],
  [[], true],
])('%j fits: %p', (filters, fits) => expect(parseUsageFilters(filters).fits(base)).toBe(fits))

test.each([
  [['until=24h'], 86_400_000],
  [['unused-for=1h30m'], 5_400_000],
  [['until=0'], 0],
  [['type=regular'], undefined],
])('%j keeps %p ms', (filters, ms) => expect(parseUsageFilters(filters).unusedForMs).toBe(ms))

test.each([
  [['until=soon'], 'until=24h'],
  [['until=1h', 'unused-for=1h'], 'given once'],
  [['color=red'], 'known are id, parents'],
  [['shared=maybe'], 'true or false'],
  [['shared~=t'], 'true or false'],
  [['id~=['], 'regular expression'],
  [['=x'], 'known are'],
  [['__proto__=x'], 'known are'],
])('%j is refused with a hint', (filters, hint) =>
  expect(() => parseUsageFilters(filters)).toThrow(
    expect.objectContaining({ code: 'OCI_OPTION_INVALID', hint: expect.stringContaining(hint) }),
  ),
)
