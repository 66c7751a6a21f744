import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isTsOciError } from '../base/errors.ts'
import { images, remove, tag } from '../api/images.ts'
import { prune } from '../api/usage.ts'
import { addImage } from './store-process.test.helper.ts'
import { openStore } from './store.ts'

/*
 * One of many who use a store at once: `node THIS ROOT NUMBER ROUNDS END`. Each round opens the store anew for each call,
 * as commands do. Names of its own must be as it left them, whatever the others do; of the names that all share, one
 * round may lose to another. Prints a line for each thing that was wrong.
 */

const name = (short: string): string => `docker.io/library/${short}:latest`

/** What a call may say when others are at work, beside success. */
async function lenient(work: Promise<unknown>, codes: readonly string[]): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isTsOciError(error) || !codes.includes(error.code)) throw error
  })
}

async function build(root: string, image: string): Promise<void> {
  await using store = await openStore({ root })
  const id = `l-${image}`
  await using temporary = await store.createTemporaryDirectory('crowd')
  mkdirSync(join(temporary.path, 'usr'))
  store.layers.writeTable(id, { entries: [] })
  store.layers.put({ id, createdMs: 1, description: image, blobs: [], hasTar: false, hasTable: true })
  store.cacheMountDirectory('shared')
  addImage(store, image)
}

async function namesOf(root: string): Promise<ReadonlySet<string>> {
  const all = await images({ store: root })
  return new Set(all.filter(({ tag: one }) => one !== '<none>').map(({ repository }) => repository))
}

async function round(root: string, me: string): Promise<void> {
  const store = root
  const expect = async (wanted: Readonly<Record<string, boolean>>, when: string): Promise<void> => {
    const found = await namesOf(root)
    for (const [one, isThere] of Object.entries(wanted))
      if (found.has(one) !== isThere) console.log(`${me}: ${one} is ${isThere ? 'gone' : 'still there'} after ${when}`)
  }
  await build(root, me)
  await expect({ [me]: true }, 'build')
  await tag(me, `${me}-tag`, { store })
  await tag(me, 'everybodys', { store })
  await expect({ [me]: true, [`${me}-tag`]: true }, 'tag')
  await lenient(prune({ all: true, store }), [])
  // The way of the garbage collection: by what was used least.
  await lenient(prune({ maxUsedBytes: 1, store }), [])
  await expect({ [me]: true, [`${me}-tag`]: true }, 'prune')
  await remove(`${me}-tag`, { store })
  await lenient(remove('everybodys', { store }), ['OCI_IMAGE_NOT_FOUND'])
  await expect({ [me]: true, [`${me}-tag`]: false }, 'remove')
  await using open = await openStore({ root })
  for (let count = 0; count < 10; count++)
    open.images.update(name('counted'), (image) => ({
      ...image,
      repoDigests: [...image.repoDigests, `${me}-${Math.random()}`],
    }))
}

const [, script, root = '', number = '', rounds = '1', end = '0'] = process.argv
if (script?.endsWith('store-crowd.test.helper.ts') === true) {
  let done = 0
  while (done < Number(rounds) && Date.now() < Number(end)) {
    await round(root, `own${number}`)
    done++
  }
  console.log(`rounds ${done}`)
}
