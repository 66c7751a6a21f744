import { expect, test } from '@jest/globals'
import type { UsageRecord } from '@ts-oci/builder'
import { renderPruned, renderTotals, renderUsage } from './usage.ts'

const record = (more: Partial<UsageRecord>): UsageRecord => ({
  id: 'jrftqb2uxz7z857g6eg0zdu2j',
  parents: [],
  description: 'mount / from exec /bin/sh -c true',
  type: 'regular',
  isMutable: false,
  isInUse: false,
  isShared: false,
  sizeBytes: 0,
  createdMs: Date.UTC(2026, 10, 28, 5, 31, 52, 860),
  usedMs: Date.now() - 6 * 3_600_000,
  usageCount: 1,
  ...more,
})

const step = record({ parents: ['a4vi8qd0soa0kwgagueazp8qd'], isShared: true, sizeBytes: 45 })
const mount = record({
  id: '1alx0s1pq9uhr14ame76oglax',
  type: 'source.local',
  description: 'local source for context',
  isMutable: true,
  sizeBytes: 943_600_000,
})

// What is expected is what docker buildx 0.29.1 printed of records like these (`docker buildx du`, and the code of its `prune`).

test('the table has the columns of buildx, an asterisk behind what changes and what is shared, smallest first', async () => {
  expect(await renderUsage([mount, step], undefined)).toBe(
    [
      'ID                           RECLAIMABLE   SIZE      LAST ACCESSED',
      'jrftqb2uxz7z857g6eg0zdu2j    true          45B*      6 hours ago',
      '1alx0s1pq9uhr14ame76oglax*   true          943.6MB   6 hours ago',
      '',
    ].join('\n'),
  )
})

test('the sums say what is shared, where something is', () => {
  expect(renderTotals([mount, step])).toBe(
    'Shared:\t\t45B\nPrivate:\t943.6MB\nReclaimable:\t943.6MB\nTotal:\t\t943.6MB\n',
  )
  expect(renderTotals([record({ isInUse: true, sizeBytes: 20 })])).toBe('Reclaimable:\t0B\nTotal:\t\t20B\n')
})

test('pretty says all of a record', async () => {
  expect(await renderUsage([step], 'pretty')).toBe(`ID:           jrftqb2uxz7z857g6eg0zdu2j
Parents:
 - a4vi8qd0soa0kwgagueazp8qd
Created at:   2026-11-28 05:31:52.86 +0000 UTC
Mutable:      false
Reclaimable:  true
Shared:       true
Size:         45B
Description:  mount / from exec /bin/sh -c true
Usage count:  1
Last used:    6 hours ago
Type:         regular

`)
})

test('JSON has the fields of buildx in their order, each with its type', async () => {
  expect(await renderUsage([mount], 'json')).toBe(
    '{"CreatedAt":"2026-11-28 05:31:52.86 +0000 UTC","Description":"local source for context","ID":"1alx0s1pq9uhr14ame76oglax","LastUsedAt":"6 hours ago","Mutable":true,"Parents":null,"Reclaimable":true,"Shared":false,"Size":"943.6MB","Type":"source.local","UsageCount":1}\n',
  )
  const parents = await renderUsage(
    [step],
    '{{range .Parents}}{{.}}{{end}} {{if .Shared}}shared{{end}} {{.UsageCount}}',
  )
  expect(parents).toBe('a4vi8qd0soa0kwgagueazp8qd shared 1\n')
})

test('what went is listed with tabs, and with --verbose in full', () => {
  expect(renderPruned([mount, record({})], false)).toBe(
    [
      'ID\t\t\t\t\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED',
      '1alx0s1pq9uhr14ame76oglax*              \ttrue\t\t943.6MB\t\t6 hours ago',
      'jrftqb2uxz7z857g6eg0zdu2j               \ttrue\t\t0B\t\t6 hours ago',
      '',
    ].join('\n'),
  )
  expect(renderPruned([step], true)).toBe(
    'ID:\t\tjrftqb2uxz7z857g6eg0zdu2j\nParent:\t\ta4vi8qd0soa0kwgagueazp8qd\nCreated at:\t2026-11-28 05:31:52.86 +0000 UTC\nMutable:\tfalse\nReclaimable:\ttrue\nShared:\t\ttrue\nSize:\t\t45B\nDescription:\tmount / from exec /bin/sh -c true\nUsage count:\t1\nLast used:\t6 hours ago\nType:\t\tregular\n\n',
  )
  expect(renderPruned([], false)).toBe('')
})
