/** Which records of a cache a vertex matches: BuildKit's lookup, key by key from the sources on. */
import type { Digest } from '../../oci/digest.ts'
import type { ConfigRecord } from './config.ts'
import { contentKey, outputKey } from './op-key.ts'
import type { SharedInput, SharedInputRule, SharedKey, SharedRules } from './types.ts'

/** Finds records by keys; each key is looked for once. */
export interface RecordLookup {
  /** Indices of the records that stand for an output of a vertex. */
  find(key: SharedKey, output: number): Promise<ReadonlySet<number>>
  /** Of a vertex that was not found: which inputs are known to no record of its op; undefined where there is none of its op. */
  unmatched(key: SharedKey, output: number): Promise<readonly number[] | undefined>
}

const NONE: ReadonlySet<number> = new Set()

export function createRecordLookup(records: readonly ConfigRecord[]): RecordLookup {
  const roots = new Map<Digest, number[]>()
  const children = new Map<string, Set<number>>()
  records.forEach(({ digest, inputs }, record) => {
    if (inputs.length === 0) push(roots, digest, record)
    inputs.forEach((links, input) => {
      for (const link of links) {
        const name = linkName({ parent: link.record, input, selector: link.selector, digest })
        const set = children.get(name)
        if (set === undefined) children.set(name, new Set([record]))
        else set.add(record)
      }
    })
  })
  const digests = new Set(records.map(({ digest }) => digest))
  const known = new WeakMap<SharedKey, Map<number, Promise<Found>>>()

  const childrenOf = (parents: Iterable<number>, input: number, selector: string, digest: Digest): Set<number> => {
    const found = new Set<number>()
    for (const parent of parents)
      for (const child of children.get(linkName({ parent, input, selector, digest })) ?? NONE) found.add(child)
    return found
  }
  async function byDefinition(input: SharedInput, at: number, { selector }: SharedInputRule, digest: Digest) {
    if (input.key === undefined) return NOTHING
    const { records: parents, isFinal } = await findKey(input.key, input.output)
    return { records: childrenOf(parents, at, selector, digest), isFinal }
  }
  async function byContent(input: SharedInput, at: number, { contents }: SharedInputRule, digest: Digest) {
    const read = contents === undefined ? [] : await input.contents(contents)
    const parents = (read ?? []).flatMap((content) => roots.get(contentKey(content)) ?? [])
    return { records: childrenOf(parents, at, '', digest), isFinal: read !== undefined }
  }
  /** By keys first; what these do not find by what is read; and where that does not come together, by both of all. */
  async function match({ inputs }: SharedKey, rules: SharedRules, digest: Digest): Promise<Found> {
    // Nothing of this key is in the cache at all: no file is read for it.
    if (!digests.has(digest)) return NOTHING
    const found = await Promise.all(inputs.map((input, at) => byDefinition(input, at, rules.inputs[at]!, digest)))
    const first = intersect(found)
    if (first.records.size > 0) return first
    const read = async (isWanted: (one: Found) => boolean): Promise<Found> =>
      intersect(
        await Promise.all(
          found.map(async (one, at) =>
            isWanted(one) ? union(one, await byContent(inputs[at]!, at, rules.inputs[at]!, digest)) : one,
          ),
        ),
      )
    const second = await read(({ records: none }) => none.size === 0)
    return second.records.size > 0 ? second : read(() => true)
  }
  async function look(key: SharedKey, output: number): Promise<Found> {
    const rules = await key.rules()
    const names = rules.digests.map((digest) => outputKey(digest, output))
    if (key.inputs.length === 0)
      return { records: new Set(names.flatMap((name) => roots.get(name) ?? [])), isFinal: true }
    let found = NOTHING
    for (const name of names) found = union(found, await match(key, rules, name))
    return found
  }
  function findKey(key: SharedKey, output: number): Promise<Found> {
    let outputs = known.get(key)
    if (outputs === undefined) known.set(key, (outputs = new Map()))
    let found = outputs.get(output)
    if (found === undefined) {
      found = look(key, output)
      outputs.set(output, found)
      // What could not be read yet may be found once it can.
      const forget = (): void => void outputs.delete(output)
      found.then(({ records: set, isFinal }) => (set.size > 0 || isFinal ? undefined : forget()), forget)
    }
    return found
  }
  async function unmatched(key: SharedKey, output: number): Promise<readonly number[] | undefined> {
    const rules = await key.rules()
    let fewest: readonly number[] | undefined
    for (const digest of rules.digests.map((one) => outputKey(one, output)).filter((name) => digests.has(name))) {
      const others: number[] = []
      for (const [at, input] of key.inputs.entries()) {
        const rule = rules.inputs[at]!
        const found = union(await byDefinition(input, at, rule, digest), await byContent(input, at, rule, digest))
        if (found.records.size === 0) others.push(at)
      }
      if (fewest === undefined || others.length < fewest.length) fewest = others
    }
    return fewest
  }
  return { find: async (key, output) => (await findKey(key, output)).records, unmatched }
}

interface Found {
  readonly records: ReadonlySet<number>
  /** No file that cannot be read yet could add to it. */
  readonly isFinal: boolean
}

const NOTHING: Found = { records: NONE, isFinal: true }

function intersect(found: readonly Found[]): Found {
  const [first, ...rest] = found.map(({ records }) => records)
  const records = rest.reduce<ReadonlySet<number>>(
    (all, set) => new Set([...all].filter((item) => set.has(item))),
    first ?? NONE,
  )
  return { records, isFinal: found.every(({ isFinal }) => isFinal) }
}

function union(a: Found, b: Found): Found {
  return { records: new Set([...a.records, ...b.records]), isFinal: a.isFinal && b.isFinal }
}

function linkName(link: {
  readonly parent: number
  readonly input: number
  readonly selector: string
  readonly digest: Digest
}): string {
  return `${link.parent} ${link.input} ${link.selector} ${link.digest}`
}

function push<Key>(map: Map<Key, number[]>, key: Key, value: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
