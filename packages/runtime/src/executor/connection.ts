import { constants } from 'node:os'
import { errnoName } from '../errno.ts'
import { RuntimeError } from '../errors.ts'
import { diedHint } from '../isolation/place.ts'
import type { Launcher } from './launcher.ts'
import { createFrameReader, encodeFrame, frameTypes, PROTOCOL_VERSION } from '../protocol.ts'
import type { Frame } from '../protocol.ts'

const { SIGSYS } = constants.signals

/** Why an executor did not come up: the operation that failed in the launcher, and its errno. */
export interface StartFailure {
  readonly operation: string
  readonly errno: string
}

/** An executor that serves: requests by id. */
export interface Connection {
  readonly launcher: Launcher
  /**
   * Sends a request; `onFrame` sees every frame with its id, and the promise takes the first one that `isLast` names.
   * Rejects with OCI_RUNTIME_EXECUTOR_DIED when the executor ends before.
   */
  request(
    type: number,
    payload: Uint8Array,
    isLast: (frame: Frame) => boolean,
    onFrame?: (frame: Frame) => void,
  ): Request
  /** Sends a frame that has no answer. */
  send(type: number, id: number, payload: Uint8Array): void
  /** Called for frames that answer no request. */
  onUnsolicited(listener: (frame: Frame) => void): void
  close(): Promise<void>
}

export interface Request {
  readonly id: number
  readonly answer: Promise<Frame>
}

interface Pending {
  readonly isLast: (frame: Frame) => boolean
  readonly onFrame: ((frame: Frame) => void) | undefined
  readonly resolve: (frame: Frame) => void
  readonly reject: (error: Error) => void
}

/**
 * Waits for the executor to serve; a refusal to come up is an answer, not an exception. To be killed is none: another
 * isolation would have other caches and trees. Throws OCI_RUNTIME_EXECUTOR_DIED.
 */
export async function connect(launcher: Launcher): Promise<Connection | StartFailure> {
  const pending = new Map<number, Pending>()
  const unsolicited = new Set<(frame: Frame) => void>()
  const { promise: start, resolve: started, reject: diedAtStart } = Promise.withResolvers<Connection | StartFailure>()
  const { control } = launcher
  const read = createFrameReader((frame) => {
    const waiting = pending.get(frame.id)
    if (frame.type === frameTypes.ready)
      started(
        frame.payload.readUInt32LE(0) === PROTOCOL_VERSION
          ? connection
          : { operation: 'protocol version', errno: 'EPROTO' },
      )
    else if (frame.type === frameTypes.failed)
      started({ operation: frame.payload.toString('utf8', 4), errno: errnoName(frame.payload.readUInt32LE(0)) })
    else if (waiting?.isLast(frame)) {
      settle(frame.id)
      waiting.resolve(frame)
    } else if (waiting) waiting.onFrame?.(frame)
    else for (const listener of unsolicited) listener(frame)
  })
  const settle = (id: number): void => {
    pending.delete(id)
    // An idle executor does not keep this process alive; it ends with it.
    if (pending.size === 0) control.unref()
  }
  control.on('data', read)
  const fail = async (): Promise<void> => {
    launcher.child.ref()
    await launcher.ended
    if (wasKilled(launcher)) diedAtStart(executorDied(launcher))
    else started({ operation: launcher.complaint() || 'start', errno: 'ECHILD' })
    for (const [id, { reject }] of pending) {
      settle(id)
      reject(executorDied(launcher))
    }
  }
  control.once('close', () => void fail())
  let nextId = 1
  const connection: Connection = {
    launcher,
    request: (type, payload, isLast, onFrame) => {
      if (control.destroyed || control.writableEnded) throw executorDied(launcher)
      const id = nextId++
      const answer = new Promise<Frame>((resolve, reject) => pending.set(id, { isLast, onFrame, resolve, reject }))
      control.ref()
      control.write(encodeFrame(type, id, payload))
      return { id, answer }
    },
    send: (type, id, payload) => {
      if (!control.destroyed && !control.writableEnded) control.write(encodeFrame(type, id, payload))
    },
    onUnsolicited: (listener) => unsolicited.add(listener),
    close: async () => {
      launcher.child.ref()
      control.end()
      launcher.jobs.destroy()
      await launcher.ended
      control.destroy()
    },
  }
  control.ref()
  const result = await start
  if (pending.size === 0) control.unref()
  if (!('launcher' in result)) {
    launcher.child.ref()
    await launcher.ended
  }
  return result
}

/** By a signal, or its executor was; but for that of a filter of system calls, which is how a place refuses. */
function wasKilled({ child }: Launcher): boolean {
  const { signalCode, exitCode } = child
  return signalCode === null
    ? exitCode !== null && exitCode > 128 && exitCode !== 128 + SIGSYS
    : signalCode !== 'SIGSYS'
}

function executorDied(launcher: Launcher): RuntimeError {
  const complaint = launcher.complaint()
  return new RuntimeError(
    'OCI_RUNTIME_EXECUTOR_DIED',
    `the executor ended before its work was done${complaint ? `: ${complaint}` : ''}`,
    {
      hint: diedHint(),
    },
  )
}
