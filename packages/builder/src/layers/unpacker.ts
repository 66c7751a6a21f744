import { constants, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { closeFd, growPipe, mknodAt, openRoot } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import type { ExtractOutput } from '../disk/job-types.ts'
import type { FormsState, Unpacker } from './conversion.ts'
import { findTree } from './at-hand.ts'
import { replaceTree, treeForm } from './tree-form.ts'
import { treeKind } from './tree-owners.ts'
import type { TableSink } from './table-sink.ts'
import type { LayerHandle } from './types.ts'

/** The most that the kernel gives anybody (`fs.pipe-max-size`). */
const PIPE_BYTES = 1 << 20

/** Has a layer unpacked while it is fetched, so that it is inflated once and the disk works while the network does. */
export function unpackWhileFetching(state: FormsState, layer: LayerHandle): void {
  state.unpackers.set(layer.id, () => createUnpacker(state, layer))
}

async function createUnpacker(state: FormsState, layer: LayerHandle): Promise<Unpacker> {
  const { store } = state
  const executor = await state.executor()
  const temporary = await store.createTemporaryDirectory('tree')
  const destination = `${temporary.path}/tree`
  const pipe = openFifo(temporary.path)
  const extracting = state.jobs
    .run('makeDirectory', { path: destination, mode: 0o755, uid: 0, gid: 0 }, true)
    .then(() =>
      state.jobs.run(
        'extract',
        {
          file: pipe.path,
          compression: 'detect',
          destination,
          xattrs: executor.overlayXattr,
          owners: executor.idMapping.kind === 'single' ? 'drop' : 'keep',
        },
        true,
      ),
    )
  return {
    sink: createPipeSink(pipe.socket, extracting),
    keep: async () => {
      // The blob's lock is held: a second one is only tried. Who has it makes the same tree.
      await using lock = store.locks.tryHoldAll('layer', [{ name: `tree-${layer.id}` }])
      if (lock === undefined || (await findTree(state, state.record(layer))) !== undefined) return
      await replaceTree(state, destination, store.snapshotDirectory(layer.id, treeKind(executor)))
      state.put(layer, { trees: [treeForm(executor)] })
      state.newTrees.add(layer.id)
    },
    [Symbol.asyncDispose]: async () => {
      pipe.socket.destroy()
      // Whoever still writes the tree ends with the pipe.
      await extracting.catch(() => undefined)
      closeFd(pipe.holder)
      await temporary[Symbol.asyncDispose]()
    },
  }
}

/** The way into the process that unpacks. What is written before it opens its end stays, as long as a reader is held. */
function openFifo(directory: string): { readonly path: string; readonly holder: number; readonly socket: Socket } {
  const parent = openRoot(directory)
  try {
    mknodAt(parent, 'blob', 'fifo', 0o600, 0, 0)
  } finally {
    closeFd(parent)
  }
  const path = `${directory}/blob`
  const holder = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  // Room for what comes while the process starts, where the user has some left.
  growPipe(fd, PIPE_BYTES)
  // At first need: it costs a cached build milliseconds.
  const net = process.getBuiltinModule('node:net')
  return { path, holder, socket: new net.Socket({ fd, readable: false, writable: true }) }
}

/** Hands a blob to the job that unpacks it. */
function createPipeSink(socket: Socket, extracting: Promise<ExtractOutput>): TableSink {
  let failure: unknown
  let result: ExtractOutput | undefined
  // With the reader that we hold, nothing else says that nobody reads any more: what follows a layer's end is not waited for.
  extracting
    .catch((error: unknown) => {
      failure = error
    })
    .finally(() => socket.destroy())
  socket.on('error', () => undefined)
  return {
    // Waited for, as the producer's buffer may be used again: a copy of each costs more, in collected garbage, than it saves.
    write: async (chunk) => {
      if (failure === undefined) await new Promise<void>((resolve) => socket.write(chunk, () => resolve()))
      if (failure !== undefined) throw failure
    },
    finish: async (expected) => {
      socket.end()
      result = await extracting
      if (expected !== undefined && result.diffId !== expected)
        throw new BuilderError(
          'OCI_DIGEST_MISMATCH',
          `a layer's content has diffID ${result.diffId}, its image says ${expected}`,
          { hint: 'the image is damaged, or its config belongs to another one' },
        )
      return result.entries
    },
    result: () => {
      if (result === undefined) throw new Error('finish first')
      return result
    },
  }
}
