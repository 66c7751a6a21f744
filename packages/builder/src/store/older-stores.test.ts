import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from '@jest/globals'
import { openedStore } from './opened-store.test.helper.ts'
import { addImage } from './store-rows.test.helper.ts'

const opened = openedStore()

/** What each format added, taken back: the database as the version of tsbuild before wrote it. */
const takeBack: Readonly<Record<number, string>> = {
  7: 'ALTER TABLE cache_mounts DROP COLUMN size; ALTER TABLE cache_mounts DROP COLUMN sized_ms; ALTER TABLE cache_mounts DROP COLUMN usage_count',
  6: "DROP INDEX images_id; CREATE INDEX images_id ON images ((CASE WHEN json_array_length(platforms, '$.more') > 0 THEN json_extract(platforms, '$.digest') ELSE config_digest END))",
  5: 'DROP INDEX images_id; DROP INDEX images_manifest; DROP INDEX images_platforms; DROP INDEX images_repositories; DROP INDEX foreign_entries_name',
  4: 'ALTER TABLE images DROP COLUMN platforms',
  3: 'DROP INDEX layers_unsynced; ALTER TABLE layers DROP COLUMN unsynced',
  2: 'ALTER TABLE images DROP COLUMN tagged_ms',
}

async function makeOlder(format: number): Promise<void> {
  await opened.store.close()
  const database = new DatabaseSync(join(opened.root, 'meta.sqlite'))
  for (let at = Math.max(...Object.keys(takeBack).map(Number)); at > format; at--) database.exec(takeBack[at]!)
  database.exec(`PRAGMA user_version = ${format}`)
  database.close()
}

const version = (): unknown => {
  const database = new DatabaseSync(join(opened.root, 'meta.sqlite'))
  const answer = database.prepare('PRAGMA user_version').get()?.['user_version']
  database.close()
  return answer
}

test.each([1, 2, 3, 4, 5, 6])('a store of format %d is brought up to date with all that it holds', async (format) => {
  const current = version()
  const old = addImage(opened.store, 'docker.io/library/a:1', 'one')
  addImage(opened.store, 'docker.io/library/a:1', 'two')
  const record = {
    key: 'k',
    layerIds: [old.diffId],
    hasContent: true,
    createdMs: 1,
    usedMs: 2,
    usageCount: 3,
    name: 'RUN x',
    type: 'regular',
    preimage: '{}',
  }
  opened.store.cache.put(record, ['other'])
  await makeOlder(format)
  await opened.reopen()
  expect(version()).toBe(current)
  expect(opened.store.images.list().map(({ name }) => name)).toEqual([
    `<none>@${old.configDigest}`,
    'docker.io/library/a:1',
  ])
  expect(opened.store.images.find(old.manifestDigest)?.images).toEqual(old.images)
  expect(opened.store.layers.get(old.diffId)).toMatchObject({ hasTar: true })
  expect(opened.store.cache.find('other')).toMatchObject({ key: 'k', layerIds: [old.diffId] })
})

test('a store of a newer format is refused, and left as it is', async () => {
  await opened.store.close()
  const database = new DatabaseSync(join(opened.root, 'meta.sqlite'))
  database.exec('PRAGMA user_version = 1000')
  database.close()
  await expect(opened.open()).rejects.toMatchObject({
    code: 'OCI_STORE_VERSION',
    message: expect.stringMatching(/has format 1000; this version of tsbuild knows \d+$/),
    hint: expect.stringContaining('use a newer tsbuild'),
  })
  expect(version()).toBe(1000)
})
