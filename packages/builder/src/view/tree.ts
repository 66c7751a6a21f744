import type { ByteString } from '../base/byte-string.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { makeEntry } from './entry.ts'
import { baseName, joinPath, parentPath } from './paths.ts'
import type { LayerEntry, ViewEntry } from './types.ts'

/**
 * A node of a merged file system. Trees are persistent: an edit copies the directories that it touches and shares the
 * rest, so a view of one layer more costs what that layer holds, and two trees are compared by identity first.
 */
export interface TreeNode {
  entry: ViewEntry
  /** By name; only directories have it. */
  children: Map<ByteString, TreeNode> | undefined
  /** The edit that may change this node in place; all others copy it. */
  owner: object | undefined
  /** Children in order, made when somebody asks. */
  sorted: readonly TreeNode[] | undefined
}

const ROOT_ENTRY: ViewEntry = makeEntry({ path: '', type: 'directory', mode: 0o755 })

/** A tree that holds nothing but its root directory. */
export function emptyTree(): TreeNode {
  return makeNode(ROOT_ENTRY, undefined)
}

function makeNode(entry: ViewEntry, owner: object | undefined): TreeNode {
  return { entry, children: entry.type === 'directory' ? new Map() : undefined, owner, sorted: undefined }
}

/** The node at exactly this path: nothing is followed. */
export function nodeAt(root: TreeNode, path: ByteString): TreeNode | undefined {
  if (path === '') return root
  let node: TreeNode | undefined = root
  let start = 0
  while (node !== undefined) {
    const slash = path.indexOf('/', start)
    if (slash < 0) return node.children?.get(path.slice(start))
    node = node.children?.get(path.slice(start, slash))
    start = slash + 1
  }
  return undefined
}

/** Children of a directory by their names' bytes. */
export function sortedChildren(node: TreeNode): readonly TreeNode[] {
  if (node.children === undefined) return []
  return (node.sorted ??= sortNames(node.children))
}

function sortNames(children: ReadonlyMap<ByteString, TreeNode>): TreeNode[] {
  let previous = ''
  let isSorted = true
  for (const name of children.keys()) {
    if (name < previous) isSorted = false
    previous = name
  }
  if (isSorted) return [...children.values()]
  return [...children.keys()].sort().map((name) => children.get(name)!)
}

/** Everything below a node, depth-first, a directory before its content. */
export function* walkNodes(node: TreeNode): Generator<TreeNode, void, undefined> {
  // A stack and no recursion: with nested generators an entry costs as much as it lies deep.
  const waiting = [sortedChildren(node)[Symbol.iterator]()]
  for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
    const { done, value } = top.next()
    if (done === true) waiting.pop()
    else {
      yield value
      if (value.children !== undefined) waiting.push(sortedChildren(value)[Symbol.iterator]())
    }
  }
}

/** Changes to a tree; the tree that it started from stays as it is. */
export interface TreeEditor {
  /** The tree as it stands now. Later edits do not change it. */
  snapshot(): TreeNode
  /** The tree as it stands now, to be read at once: later edits change it. */
  peek(): TreeNode
  node(path: ByteString): TreeNode | undefined
  /**
   * Puts an entry at its path, in place of whatever stands there; a directory keeps the content of a directory.
   * Its parent must be a directory.
   */
  put(entry: ViewEntry): TreeNode
  remove(path: ByteString): void
  /** Removes everything below a directory. */
  clear(path: ByteString): void
}

export function editTree(start: TreeNode): TreeEditor {
  return new TreeEdit(start)
}

class TreeEdit implements TreeEditor {
  private root: TreeNode
  private owner = {}
  // Directories of this edit by path: the walk from the root is paid once a directory.
  private owned = new Map<ByteString, TreeNode>()
  private lastPath: ByteString = ''
  private lastNode: TreeNode | undefined = undefined

  constructor(start: TreeNode) {
    this.root = start
  }

  snapshot(): TreeNode {
    // From here on nothing of this tree is ours to change.
    this.owner = {}
    this.owned = new Map()
    this.lastNode = undefined
    return this.root
  }

  peek(): TreeNode {
    return this.root
  }

  node(path: ByteString): TreeNode | undefined {
    if (this.lastNode !== undefined && path !== '' && parentPath(path) === this.lastPath)
      return this.lastNode.children!.get(baseName(path))
    return nodeAt(this.root, path)
  }

  private own(path: ByteString): TreeNode {
    const known = this.owned.get(path)
    if (known !== undefined) return known
    const node = path === '' ? this.root : this.own(parentPath(path)).children!.get(baseName(path))
    if (node?.children === undefined) throw notDirectory(path)
    let mine = node
    if (node.owner !== this.owner) {
      mine = { entry: node.entry, children: new Map(node.children), owner: this.owner, sorted: undefined }
      if (path === '') this.root = mine
      else setChild(this.own(parentPath(path)), baseName(path), mine)
    }
    this.owned.set(path, mine)
    return mine
  }

  put(entry: ViewEntry): TreeNode {
    if (entry.path === '') {
      const mine = this.own('')
      mine.entry = entry
      return mine
    }
    const parent = this.ownParent(entry.path)
    const name = baseName(entry.path)
    const before = parent.children!.get(name)
    if (before?.children !== undefined && entry.type === 'directory') {
      const mine = this.own(entry.path)
      mine.entry = entry
      return mine
    }
    if (before?.children !== undefined) this.forget(entry.path, before)
    const node = makeNode(entry, this.owner)
    setChild(parent, name, node)
    return node
  }

  /** Entries come directory by directory: the last one is at hand without hashing its path. */
  private ownParent(path: ByteString): TreeNode {
    const parent = parentPath(path)
    if (this.lastNode === undefined || parent !== this.lastPath) {
      this.lastNode = this.own(parent)
      this.lastPath = parent
    }
    return this.lastNode
  }

  remove(path: ByteString): void {
    const parent = this.own(parentPath(path))
    const before = parent.children!.get(baseName(path))
    if (before === undefined) return
    if (before.children !== undefined) this.forget(path, before)
    parent.children!.delete(baseName(path))
    parent.sorted = undefined
  }

  clear(path: ByteString): void {
    const mine = this.own(path)
    this.forget(path, mine)
    this.owned.set(path, mine)
    mine.children = new Map()
    mine.sorted = undefined
  }

  /** What is ours lies below what is ours: nothing else is looked at, however much this edit has touched. */
  private forget(path: ByteString, node: TreeNode): void {
    this.lastNode = undefined
    const waiting: (readonly [ByteString, TreeNode])[] = [[path, node]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [at, gone] = next
      this.owned.delete(at)
      if (gone.owner === this.owner)
        for (const [name, child] of gone.children ?? []) waiting.push([joinPath(at, name), child])
    }
    if (path === '') this.owned.set('', this.root)
  }
}

function setChild(parent: TreeNode, name: ByteString, child: TreeNode): void {
  parent.children!.set(name, child)
  parent.sorted = undefined
}

function notDirectory(path: ByteString): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `"/${fromByteString(path)}" is not a directory`)
}

let linkKeys = 0

/** A key that no other set of hard links in this process has. */
export function newLinkKey(): string {
  return `link-${++linkKeys}`
}

/** Lays the entries of a layer over a tree. Throws OCI_LAYER_INVALID for a hard link to nothing. */
export function applyLayer(lower: TreeNode, entries: readonly LayerEntry[]): TreeNode {
  const edit = editTree(lower)
  const links: LayerEntry[] = []
  const keys = new Map<ByteString, string>()
  for (const entry of entries) {
    if (entry.type === 'hardlink') links.push(entry)
    else if (entry.sameFileAs !== undefined) putLinked(edit, entry, entry.sameFileAs, keys)
    else if (entry.isTimeOnly === true) putTime(edit, entry)
    else if (entry.type === 'whiteout') removeIfThere(edit, entry.path)
    else if (entry.type === 'opaque') hideBelow(edit, entry.path)
    else {
      makeParents(edit, entry.path)
      edit.put(entry)
    }
  }
  applyLinks(edit, links)
  return edit.snapshot()
}

/** The file that the layer leaves out was copied up to be linked: it is one with this name, and no more with older ones. */
function putLinked(edit: TreeEditor, entry: LayerEntry, name: ByteString, keys: Map<ByteString, string>): void {
  const linkKey = keys.get(name) ?? newLinkKey()
  keys.set(name, linkKey)
  const other = edit.node(name)?.entry
  if (other?.type === entry.type) edit.put({ ...other, linkKey })
  makeParents(edit, entry.path)
  edit.put({ ...makeEntry({ ...entry, sameFileAs: undefined }), linkKey })
}

/** Only over the directory that it was seen on: on another base (`--link`, merge) it says nothing. */
function putTime(edit: TreeEditor, { path, mtimeSec, mtimeNsec }: LayerEntry): void {
  const below = edit.node(path)?.entry
  if (below?.type === 'directory') edit.put({ ...below, mtimeSec, mtimeNsec })
}

function removeIfThere(edit: TreeEditor, path: ByteString): void {
  if (path !== '' && edit.node(path) !== undefined) edit.remove(path)
}

/** An opaque marker stands before its directory's new content: all that is there comes from below. */
function hideBelow(edit: TreeEditor, path: ByteString): void {
  if (path === '') return
  const node = edit.node(path)
  if (node?.children !== undefined && node.children.size > 0) edit.clear(path)
}

/** Who unpacks a layer makes such a directory just then: it has no other time. */
const IMPLIED_SEC = Math.floor(Date.now() / 1000)

/** Directories that the layer does not list; one that exists below keeps its mode and owner. */
function makeParents(edit: TreeEditor, path: ByteString): void {
  const parent = parentPath(path)
  if (parent === '' || edit.node(parent)?.children !== undefined) return
  makeParents(edit, parent)
  edit.put(makeEntry({ path: parent, type: 'directory', mode: 0o755, mtimeSec: IMPLIED_SEC }))
}

/** Hard links may name a file that comes later in the order of names, or another link: that one first. */
function applyLinks(edit: TreeEditor, links: readonly LayerEntry[]): void {
  const waiting = new Map(links.map((link) => [link.path, link]))
  for (const link of links) {
    const chain: LayerEntry[] = []
    // A stack and no recursion: a chain is as long as the layer has links.
    for (
      let next: LayerEntry | undefined = waiting.get(link.path);
      next !== undefined;
      next = waiting.get(next.link!)
    ) {
      waiting.delete(next.path)
      chain.push(next)
    }
    for (const one of chain.toReversed()) applyLink(edit, one)
  }
}

function applyLink(edit: TreeEditor, link: LayerEntry): void {
  const target = edit.node(link.link!)?.entry
  if (target === undefined || target.type === 'directory') throw danglingLink(link)
  const linkKey = target.linkKey ?? newLinkKey()
  if (target.linkKey === undefined) edit.put({ ...target, linkKey })
  makeParents(edit, link.path)
  edit.put({ ...target, path: link.path, linkKey })
}

function danglingLink(link: LayerEntry): BuilderError {
  return new BuilderError(
    'OCI_LAYER_INVALID',
    `the hard link "${fromByteString(link.path)}" names "${fromByteString(link.link ?? '')}", which is no file`,
  )
}
