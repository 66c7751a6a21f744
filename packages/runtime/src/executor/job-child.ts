/** Entry of the process for file jobs: serves messages on descriptor 3 until the socket ends. */
import { Socket } from 'node:net'
import { runHandler } from './job-handler.ts'
import { readMessage, writeReply } from './job-protocol.ts'
import type { JobMessage } from './job-protocol.ts'

const socket = new Socket({ fd: 3, readable: true, writable: true })
const running = new Map<number, AbortController>()

socket.on(
  'data',
  readMessage((message) => void serve(message)),
)
// Whoever asked is gone, and with it every reason to go on.
socket.on('end', () => process.exit(0))
socket.on('error', () => process.exit(0))

async function serve(message: JobMessage): Promise<void> {
  if ('cancel' in message) {
    running.get(message.id)?.abort()
    return
  }
  const { id, moduleUrl, name, input } = message
  const controller = new AbortController()
  running.set(id, controller)
  try {
    writeReply(socket, { id, output: await runHandler(moduleUrl, name, input, controller.signal) })
  } catch (error) {
    writeReply(socket, { id, error: error instanceof Error ? error : new Error(String(error)) })
  } finally {
    running.delete(id)
  }
}
