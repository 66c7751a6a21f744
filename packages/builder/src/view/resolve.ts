import type { ByteString } from '../base/byte-string.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import type { TreeNode } from './tree.ts'

export interface Resolved {
  /** With every symlink of the existing part followed. */
  readonly path: ByteString
  /** Undefined when nothing is there. */
  readonly node: TreeNode | undefined
}

/** As many as containerd's resolution follows; the kernel gives up at 40. */
const MAX_LINKS = 255

/**
 * Resolves a path as a chroot at `root` would: absolute targets start at the root, `..` stops there. Components behind
 * something that is missing (or no directory) are taken as they are. Throws OCI_FILE_OP_FAILED (`details.errno` ELOOP)
 * when the links run in a circle.
 */
export function resolvePath(root: TreeNode, path: ByteString, followLast: boolean): Resolved {
  const names: ByteString[] = []
  const nodes: (TreeNode | undefined)[] = [root]
  const rest = partsOf(path)
  let links = 0
  while (rest.length > 0) {
    const part = rest.pop()!
    if (part === '..') {
      if (names.length > 0) {
        names.pop()
        nodes.pop()
      }
      continue
    }
    const node = nodes[nodes.length - 1]?.children?.get(part)
    if (node?.entry.type === 'symlink' && (followLast || rest.length > 0)) {
      if (++links > MAX_LINKS) throw tooManyLinks(path)
      const target = node.entry.link ?? ''
      if (target.startsWith('/')) {
        names.length = 0
        nodes.length = 1
      }
      rest.push(...partsOf(target))
      continue
    }
    names.push(part)
    nodes.push(node)
  }
  return { path: names.join('/'), node: nodes[nodes.length - 1] }
}

/** Components in reverse, so that the next one is popped; empty ones and `.` say nothing. */
function partsOf(path: ByteString): ByteString[] {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .reverse()
}

function tooManyLinks(path: ByteString): BuilderError {
  return new BuilderError('OCI_FILE_OP_FAILED', `/${fromByteString(path)}: too many links`, {
    hint: 'two links of the image name each other',
    details: { errno: 'ELOOP', path },
  })
}
