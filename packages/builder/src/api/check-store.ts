import { lstatSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isTsOciError } from '../base/errors.ts'
import type { FormProblem } from '../build/check-layer.ts'
import { digestOfFile } from '../build/check-tree.ts'
import type { CheckStoreOptions, StoreDamage, StoreReport } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { digestOf, type Digest } from '../oci/digest.ts'
import type { ImageRecord, LayerRecord, Store } from '../store/types.ts'
import { readStored } from './images.ts'

/**
 * Verifies the store: the database, every blob against its digest, every layer's forms against one another, images and cache records
 * against both. With `repair` it drops what is damaged, with the records and the images that cannot be without it, so that the
 * next build makes or fetches it again. Safe beside builds that run: what they use is told, and left until they end.
 */
export async function checkStore(options: CheckStoreOptions = {}): Promise<StoreReport> {
  await using session = await sessionOf(options)
  const { store } = session
  const check = new Check(session, options.repair === true)
  for (const problem of store.checkRows())
    check.tell({ kind: 'database', name: 'meta.sqlite', problem, isRepaired: false })
  const blobs = await check.blobs()
  const layers = store.layers.list()
  for (const layer of layers) await check.layer(layer)
  for (const image of store.images.list()) check.image(image)
  check.records()
  if (options.repair === true) await check.finish()
  return { damages: check.damages, checked: { blobs, layers: layers.length, images: store.images.list().length } }
}

const NO_FILE = 'no file'

class Check {
  readonly damages: StoreDamage[] = []
  private readonly session: Session
  private readonly store: Store
  private readonly repairs: boolean
  private readonly bad = new Set<string>()
  private readonly lost = new Set<string>()
  private readonly trees: string[] = []

  constructor(session: Session, repairs: boolean) {
    this.session = session
    this.store = session.store
    this.repairs = repairs
  }

  tell(damage: StoreDamage): void {
    this.damages.push(damage)
  }

  /** Reads every file in `blobs`. @returns how many */
  async blobs(): Promise<number> {
    const directory = dirname(this.store.blobs.path(digestOf('')))
    const names = readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name))
    for (const name of names) {
      this.session.signal.throwIfAborted()
      const digest = `sha256:${name}` as Digest
      const found = digestIfPresent(join(directory, name))
      if (found !== undefined && found !== digest) this.badBlob(digest, found)
      // Builds of this process, and signals, get their turn.
      await new Promise(setImmediate)
    }
    return names.length
  }

  private badBlob(digest: Digest, found: string): void {
    this.bad.add(digest)
    if (this.repairs) this.store.blobs.delete(digest)
    this.tell({
      kind: 'blob',
      name: digest,
      problem: found === NO_FILE ? 'is no file' : `its digest is ${found}`,
      isRepaired: this.repairs,
    })
  }

  async layer(layer: LayerRecord): Promise<void> {
    // The public face is loaded by every command: what reads layers is not.
    const { checkLayer } = await import('../build/check-layer.ts')
    const problems = await checkLayer(this.store, layer, (digest) => this.bad.has(digest), this.session.signal)
    if (problems.length === 0) return
    // A build, or a prune, may have changed it meanwhile: what is said of it is to be true now.
    const now = this.store.layers.get(layer.id)
    const real = problems.filter((problem) => now !== undefined && hasForm(now, problem, this.store))
    if (now === undefined || real.length === 0) return
    const isUsed = this.store.isLeased(layer.id)
    for (const { form, name, problem } of real) {
      const isRepaired = this.repairs && !isUsed
      this.tell({
        kind: form,
        name,
        problem: isUsed && this.repairs ? `${problem}; a build uses it: check again when it has ended` : problem,
        isRepaired,
        of: now.description,
      })
    }
    const left = without(now, real, this.store)
    if (!isAtHand(left)) this.lost.add(layer.id)
    if (!this.repairs || isUsed) return
    this.store.layers.replace(left)
    for (const { form, name } of real) {
      if (form === 'tree') this.trees.push(name)
      if (form === 'table') this.store.layers.deleteTable(layer.id)
    }
  }

  image(image: ImageRecord): void {
    const problem = image.images.map((one) => this.problemOf(one)).find((one) => one !== undefined)
    if (problem === undefined || this.store.images.get(image.name)?.digest !== image.digest) return
    if (this.repairs) this.store.images.remove(image.name)
    this.tell({ kind: 'image', name: image.name, problem, isRepaired: this.repairs })
  }

  private problemOf(stored: ImageRecord['images'][number]): string | undefined {
    try {
      readStored(this.store, stored)
    } catch (error) {
      if (isTsOciError(error)) return error.message
      throw error
    }
    const gone = stored.layerIds.find((id) => this.lost.has(id) || this.store.layers.get(id) === undefined)
    return gone === undefined ? undefined : `its layer ${gone} is lost`
  }

  /** Records of the cache that lead to what is not there. */
  records(): void {
    for (const record of this.store.cache.list()) {
      const gone = record.hasContent ? record.layerIds.find((id) => this.isGone(id)) : undefined
      if (gone === undefined) continue
      if (this.repairs) this.store.cache.delete(record.key)
      this.tell({ kind: 'record', name: record.name, problem: `its layer ${gone} is lost`, isRepaired: this.repairs })
    }
  }

  private isGone(id: string): boolean {
    return this.lost.has(id) || this.store.layers.get(id) === undefined
  }

  /** Removes what nothing leads to any more, and writes the index anew. */
  async finish(): Promise<void> {
    for (const directory of this.trees) await this.store.removeTree(directory)
    for (const id of this.lost) if (!this.store.isLeased(id)) this.store.layers.delete(id)
    this.store.images.project()
  }
}

/** Undefined where a prune has taken it meanwhile; what an archive unpacked over the store made of a name may be no file. */
function digestIfPresent(path: string): string | undefined {
  try {
    return lstatSync(path).isFile() ? digestOfFile(path) : NO_FILE
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes(String((error as { code?: unknown }).code))) return undefined
    throw error
  }
}

function hasForm(layer: LayerRecord, { form, name }: FormProblem, store: Store): boolean {
  if (form === 'tar') return layer.hasTar
  if (form === 'table') return layer.hasTable
  if (form === 'blob') return layer.blobs.some(({ descriptor }) => descriptor.digest === name)
  return (layer.trees ?? []).some((tree) => store.snapshotDirectory(layer.id, tree) === name)
}

function without(layer: LayerRecord, problems: readonly FormProblem[], store: Store): LayerRecord {
  const isBad = (form: FormProblem['form'], name?: string): boolean =>
    problems.some((one) => one.form === form && (name === undefined || one.name === name))
  const { trees: all = [], ...rest } = layer
  const trees = all.filter((tree) => !isBad('tree', store.snapshotDirectory(layer.id, tree)))
  return {
    ...rest,
    hasTar: layer.hasTar && !isBad('tar'),
    hasTable: layer.hasTable && !isBad('table'),
    blobs: layer.blobs.filter(({ descriptor }) => !isBad('blob', descriptor.digest)),
    ...(trees.length === 0 ? {} : { trees }),
  }
}

/** A tree without a table says nothing of owners and of what it hides: it cannot be used. */
function isAtHand({ hasTar, blobs, trees, remote, hasTable }: LayerRecord): boolean {
  return hasTar || blobs.length > 0 || remote !== undefined || (trees !== undefined && hasTable)
}
