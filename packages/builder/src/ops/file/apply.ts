import { BuilderError } from '../../base/errors.ts'
import { isSameContent } from '../../disk/file-bytes.ts'
import { diffTrees } from '../../view/diff.ts'
import { emptyTree, type TreeNode } from '../../view/tree.ts'
import type { LayerEntry, View, ViewEntry } from '../../view/types.ts'
import { treeOf, viewOfTree } from '../../view/view.ts'
import type { FileAction, FileSpec } from '../../graph/op-specs.ts'
import { runAction } from './actions.ts'
import type { FileOpContext } from './context.ts'
import { createFileTarget } from '../../view/file-target.ts'

/**
 * What a file op adds to the input that it is built on (or to scratch): sorted layer entries, their contents where they
 * lie, nothing copied. Later actions see what earlier ones did. Throws OCI_COPY_SOURCE_NOT_FOUND, OCI_COPY_INVALID,
 * OCI_FILE_OP_FAILED, OCI_ARCHIVE_INVALID.
 */
export async function applyFileSpec(
  spec: FileSpec,
  inputs: readonly View[],
  context: FileOpContext,
  output = 0,
): Promise<LayerEntry[]> {
  const results: TreeNode[] = []
  const bases: TreeNode[] = []
  const nowSec = Math.floor(context.nowMs / 1000)
  const now = { sec: nowSec, nsec: Math.round((context.nowMs - nowSec * 1000) * 1_000_000) }

  const rootOf = (input: number): TreeNode => {
    if (input < 0) return emptyTree()
    const root = input < inputs.length ? treeOf(inputs[input]!) : results[input - inputs.length]
    if (root === undefined) throw invalidInput(input)
    return root
  }
  const viewOf = (input: number): View => {
    if (input >= 0 && input < inputs.length) return inputs[input]!
    return viewOfTree(rootOf(input))
  }

  for (const action of spec.actions) {
    context.signal?.throwIfAborted()
    const start = rootOf(action.input)
    const target = createFileTarget(start, now)
    await runAction(action, target, viewOf, context)
    bases.push(action.input < inputs.length ? start : bases[action.input - inputs.length]!)
    results.push(target.snapshot())
  }
  const last = findOutput(spec.actions, output)
  return diff(bases[last]!, results[last]!, context)
}

function findOutput(actions: readonly FileAction[], output: number): number {
  const index = actions.findIndex((action) => action.output === output)
  if (index < 0) throw new BuilderError('OCI_FILE_OP_FAILED', `the file op has no output ${output}`)
  return index
}

/** Where only the bytes can tell whether a file is a change, they are read after everything else is known. */
async function diff(lower: TreeNode, upper: TreeNode, context: FileOpContext): Promise<LayerEntry[]> {
  const doubts: (readonly [ViewEntry, ViewEntry])[] = []
  const assumed = diffTrees(lower, upper, (a, b) => doubts.push([a, b]) > 0)
  if (doubts.length === 0) return assumed
  const answers = new Map<ViewEntry, boolean>()
  const readable = (await context.resolveContents?.(doubts.flat())) ?? doubts.flat()
  const pairs = doubts.map((_, index) => [readable[2 * index]!, readable[2 * index + 1]!] as const)
  const same =
    context.compareFiles === undefined ? pairs.map(([a, b]) => isSameContent(a, b)) : await context.compareFiles(pairs)
  for (const [index, [, above]] of doubts.entries()) answers.set(above, same[index]!)
  return diffTrees(lower, upper, (_, above) => answers.get(above) ?? false)
}

function invalidInput(input: number): BuilderError {
  return new BuilderError('OCI_FILE_OP_FAILED', `the file op names the input ${input}, which does not exist`)
}
