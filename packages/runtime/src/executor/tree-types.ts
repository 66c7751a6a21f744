/** What a tree consists of, in the order in which it is made. Paths are clean, relative to the tree, byte strings. */
export interface TreeRecords {
  makeDirectory(path: string): void
  /** A new file; its data follow, and `endFile`, with which it gets its attributes. */
  beginFile(path: string, attributes: TreeAttributes): void
  /** The bytes may be used again at once. */
  writeData(bytes: Uint8Array): void
  leaveHole(sizeBytes: number): void
  endFile(): void
  makeSymlink(path: string, target: string): void
  makeLink(path: string, old: string): void
  /** A device that may not be made here is left out, unless `strict`. */
  makeNode(path: string, node: TreeNode, attributes: TreeAttributes): void
  /** Removes a name and everything below it. */
  remove(path: string): void
  setAttributes(path: string, attributes: TreeAttributes): void
}

export type TreeNodeType = 'fifo' | 'character' | 'block'

export interface TreeNode {
  readonly type: TreeNodeType
  readonly major: number
  readonly minor: number
}

/** What is absent stays as it is. */
export interface TreeAttributes {
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /** 07777. */
  readonly mode?: number | undefined
  readonly mtime?: { readonly sec: number; readonly nsec: number } | undefined
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined
  /** What this machine refuses of nodes and extended attributes is a failure. */
  readonly strict?: boolean
}

/** The way into the process that writes a tree. What fails there is thrown by a later `drained`, or by `finish`. */
export interface TreeStream extends TreeRecords, AsyncDisposable {
  /** Undefined: go on. Else it is to be awaited before more is written, or memory follows the size of the tree. */
  drained(): Promise<void> | undefined
  /** Resolves when the tree is written. Throws OCI_RUNTIME_FILES with the call that failed and its path. */
  finish(): Promise<void>
}
