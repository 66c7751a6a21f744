import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import { makeEntry } from '../view/entry.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from './layer-forms.ts'

test('a layer whose row prune takes out for a moment and puts back is not missing', async () => {
  await using directory = await temporaryDirectory()
  await using store = await openStore({ root: directory.path })
  const { signal } = new AbortController()
  const noExecutor = (): never => {
    throw new Error('nothing runs')
  }
  const jobs = createJobRunner({ executor: noExecutor, signal })
  const forms = createLayerForms({ store, jobs, executor: noExecutor, fetcher: noExecutor, signal })
  const entries = [makeEntry({ path: 'd', type: 'directory', mode: 0o755 })]
  const layer = forms.fromSelection(entries, { createdMs: 1, description: 'd' })
  const made = await forms.tar(layer)
  const row = store.layers.get(layer.id)!
  store.layers.delete(layer.id)
  setTimeout(() => store.layers.put(row), 60)
  expect(await forms.tar(layer)).toEqual(made)
})
