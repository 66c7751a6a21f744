/** Which records of a cache a vertex matches: BuildKit's lookup, key by key from the sources on. */
import type { Digest } from '../../oci/digest.ts'
import type { ConfigRecord } from './config.ts'
import { contentKey, outputKey } from './op-key.ts'
import type { SharedInput, SharedInputRule, SharedKey, SharedRules } from './types.ts'

/** Finds records by keys; each key is looked for once. */
export interface RecordLookup {
  /** Indices of the records that stand for an output of a vertex. */
  find(key: SharedKey, output: number): Promise<ReadonlySet<number>>
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
  const known = new WeakMap<SharedKey, Map<number, Promise<ReadonlySet<number>>>>()

  const childrenOf = (parents: Iterable<number>, input: number, selector: string, digest: Digest): Set<number> => {
    const found = new Set<number>()
    for (const parent of parents)
      for (const child of children.get(linkName({ parent, input, selector, digest })) ?? NONE) found.add(child)
    return found
  }
  async function byDefinition(input: SharedInput, at: number, { selector }: SharedInputRule, digest: Digest) {
    if (input.key === undefined) return NONE
    return childrenOf(await find(input.key, input.output), at, selector, digest)
  }
  async function byContent(input: SharedInput, at: number, { contents }: SharedInputRule, digest: Digest) {
    const content = contents === undefined ? undefined : await input.content(contents)
    return content === undefined ? NONE : childrenOf(roots.get(contentKey(content)) ?? [], at, '', digest)
  }
  /** By keys first; what these do not find by what is read; and where that does not come together, by both of all. */
  async function match({ inputs }: SharedKey, rules: SharedRules, digest: Digest): Promise<ReadonlySet<number>> {
    const found = await Promise.all(inputs.map((input, at) => byDefinition(input, at, rules.inputs[at]!, digest)))
    const isSure = found.every((set) => set.size > 0)
    const first = intersect(found)
    if (isSure && first.size > 0) return first
    // Nothing of this key is in the cache at all: no file is read for it.
    if (!digests.has(digest)) return NONE
    const read = async (isWanted: (set: ReadonlySet<number>) => boolean) =>
      Promise.all(
        found.map(async (set, at) =>
          isWanted(set) ? union(set, await byContent(inputs[at]!, at, rules.inputs[at]!, digest)) : set,
        ),
      )
    const second = intersect(await read((set) => set.size === 0))
    return second.size > 0 ? second : intersect(await read(() => true))
  }
  const digests = new Set(records.map(({ digest }) => digest))
  async function look(key: SharedKey, output: number): Promise<ReadonlySet<number>> {
    const rules = await key.rules()
    const names = rules.digests.map((digest) => outputKey(digest, output))
    if (key.inputs.length === 0) return new Set(names.flatMap((name) => roots.get(name) ?? []))
    let found: ReadonlySet<number> = NONE
    for (const name of names) found = union(found, await match(key, rules, name))
    return found
  }
  function find(key: SharedKey, output: number): Promise<ReadonlySet<number>> {
    let outputs = known.get(key)
    if (outputs === undefined) known.set(key, (outputs = new Map()))
    let found = outputs.get(output)
    if (found === undefined) outputs.set(output, (found = look(key, output)))
    return found
  }
  return { find }
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

function intersect(sets: readonly ReadonlySet<number>[]): ReadonlySet<number> {
  const [first = NONE, ...rest] = sets
  return rest.length === 0 ? first : new Set([...first].filter((item) => rest.every((set) => set.has(item))))
}

function union(a: ReadonlySet<number>, b: ReadonlySet<number>): ReadonlySet<number> {
  if (a.size === 0) return b
  return b.size === 0 ? a : new Set([...a, ...b])
}
