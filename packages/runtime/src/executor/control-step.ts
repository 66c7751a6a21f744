import { errnoName } from '../errno.ts'
import type { Connection } from './connection.ts'
import { frameTypes, type Frame } from '../protocol.ts'
import { numbersPayload } from '../steps/request.ts'
import type { StepControl } from '../steps/types.ts'

/** What a caller can do with a step that runs, and the frames in which the executor answers. */
export function controlStep(connection: Connection, id: number): StepControl & { onFrame(frame: Frame): void } {
  let taken: ((errno: string | undefined) => void) | undefined
  return {
    write: (chunk) =>
      new Promise((resolve) => {
        taken = resolve
        connection.send(frameTypes.input, id, chunk)
      }),
    resize: (columns, rows) => connection.send(frameTypes.resize, id, numbersPayload(columns, rows)),
    kill: (signal) => connection.send(frameTypes.signal, id, numbersPayload(signal)),
    pause: () => connection.launcher.control.pause(),
    resume: () => connection.launcher.control.resume(),
    onFrame: ({ type, payload }) => {
      if (type !== frameTypes.inputTaken) return
      const error = payload.readUInt32LE(0)
      taken?.(error === 0 ? undefined : errnoName(error))
    },
  }
}
