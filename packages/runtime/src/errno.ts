import { getSystemErrorMap } from 'node:util'
import { constants } from 'node:os'

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/** `ENOENT` for 2; `E<number>` where Node has no name for it. */
export function errnoName(number: number): string {
  return getSystemErrorMap().get(-number)?.[0] ?? `E${number}`
}

/** What the errno means, in words: "no such file or directory". */
export function errnoText(number: number): string {
  return getSystemErrorMap().get(-number)?.[1] ?? `error ${number}`
}

/** `SIGKILL` for 9; `SIG<number>` for real-time signals. */
export function signalName(number: number): string {
  return signalNames.get(number) ?? `SIG${number}`
}
