import type { ByteString } from '../base/byte-string.ts'

/** Names that are hard links to one other name. */
interface LinkGroup {
  target: ByteString
  /** Those that are still of it say so themselves: see `byName`. */
  readonly names: ByteString[]
}

/**
 * The hard links of a layer while it is read. When a name that others link to goes, one of them takes its place for
 * all: each step costs the same however many they are (a layer may replace every name of a file in turn).
 */
export interface LinkGroups {
  /** `name` is a hard link to `target`. */
  join(name: ByteString, target: ByteString): void
  /** `name` is no link any more. */
  leave(name: ByteString): void
  /** The file at `target` goes: answers the link that is the file from now on, which the others name. */
  inherit(target: ByteString): ByteString | undefined
  /** What `name` links to. */
  targetOf(name: ByteString): ByteString | undefined
}

export function createLinkGroups(): LinkGroups {
  const byTarget = new Map<ByteString, LinkGroup | undefined>()
  const byName = new Map<ByteString, LinkGroup | undefined>()

  function add(group: LinkGroup, name: ByteString): void {
    group.names.push(name)
    byName.set(name, group)
  }

  function takeName(group: LinkGroup): ByteString | undefined {
    for (let name = group.names.pop(); name !== undefined; name = group.names.pop())
      if (byName.get(name) === group) return name
    return undefined
  }

  return {
    join(name, target) {
      let group = byTarget.get(target)
      if (group === undefined) byTarget.set(target, (group = { target, names: [] }))
      add(group, name)
    },
    leave: (name) => void (byName.has(name) && byName.set(name, undefined)),
    inherit(target) {
      const group = byTarget.get(target)
      const heir = group && takeName(group)
      if (group === undefined || heir === undefined) return undefined
      byName.set(heir, undefined)
      byTarget.set(target, undefined)
      const other = byTarget.get(heir)
      // The smaller group joins the larger: each name moves at most as often as the group can double.
      const isSmaller = other !== undefined && other.names.length > group.names.length
      const [small, large] = isSmaller ? [group, other] : [other, group]
      for (const name of small?.names ?? []) if (byName.get(name) === small) add(large, name)
      large.target = heir
      byTarget.set(heir, large)
      return heir
    },
    targetOf: (name) => byName.get(name)?.target,
  }
}
