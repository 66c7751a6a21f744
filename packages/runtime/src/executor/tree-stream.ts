import { constants, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { RuntimeError } from '../errors.ts'
import { diedHint } from '../isolation/place.ts'
import { errnoName, filesError } from '../files/errors.ts'
import { closeFd, growPipe, localPath, mknodAt, openRoot } from '../files/index.ts'
import type { TreeStream } from './tree-types.ts'
import type { Connection } from './connection.ts'
import { createFieldWriter, fieldTags, frameTypes } from '../protocol.ts'
import { createRecordWriter } from './tree-records.ts'

/** The most that the kernel gives anybody (`fs.pipe-max-size`). */
const PIPE_BYTES = 1 << 20
/** As native/launcher/write-tree.h names it. */
const FEED_NAME = 'feed'

/** Starts a process of the executor that writes one tree, and gives the way into it. */
export function openTreeStream(connection: Connection, directory: string): TreeStream {
  const feed = openFeed(directory)
  let failure: unknown
  let room: PromiseWithResolvers<void> | undefined
  const giveRoom = (): void => {
    room?.resolve()
    room = undefined
  }
  const ended = requestWriter(connection, directory).catch((error: unknown) => {
    failure = error
    // With the reader that we hold, nothing else says that nobody reads any more.
    feed.socket.destroy()
    giveRoom()
  })
  feed.socket.on('error', () => undefined)
  const records = createRecordWriter((bytes, done) => feed.socket.write(bytes, done), giveRoom)
  const check = (): void => {
    if (failure !== undefined) throw failure
  }
  return {
    ...records.records,
    drained: () => {
      check()
      if (!records.isFull()) return undefined
      room ??= Promise.withResolvers()
      return room.promise.then(check)
    },
    finish: async () => {
      check()
      records.end()
      feed.socket.end()
      await ended
      check()
    },
    [Symbol.asyncDispose]: async () => {
      feed.socket.destroy()
      // Whoever still writes the tree ends with the feed.
      await ended
      closeFd(feed.holder)
    },
  }
}

async function requestWriter(connection: Connection, directory: string): Promise<void> {
  const fields = createFieldWriter()
  fields.string(fieldTags.path, directory)
  const { payload } = await connection.request(
    frameTypes.writeTree,
    fields.payload(),
    ({ type }) => type === frameTypes.treeWritten,
  ).answer
  const error = payload.readUInt32LE(0)
  if (error === 0) return
  const [operation = '', path = ''] = payload.toString('latin1', 4).split('\0')
  if (operation !== '') throw filesError(operation, path, error)
  if (errnoName(error) !== 'EINTR') throw filesError('start a process that writes', directory, error)
  // How the executor tells of one that said nothing itself.
  throw new RuntimeError('OCI_RUNTIME_EXECUTOR_DIED', 'the process that writes a tree was killed before it was done', {
    hint: diedHint(),
  })
}

/** What is written before the process opens its end stays, as long as a reader is held. */
function openFeed(directory: string): { readonly holder: number; readonly socket: Socket } {
  const parent = openRoot(directory)
  try {
    mknodAt(parent, FEED_NAME, 'fifo', 0o600, 0, 0)
  } finally {
    closeFd(parent)
  }
  const path = `${localPath(directory)}/${FEED_NAME}`
  const holder = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  // As much as the user has left.
  growPipe(fd, PIPE_BYTES)
  // At first need: it costs a cached build milliseconds.
  const net = process.getBuiltinModule('node:net')
  return { holder, socket: new net.Socket({ fd, readable: false, writable: true }) }
}
