/** What a stage hands from one instruction to the next, besides the image config. */
import type { Platform } from '../../../oci/types.ts'
import type { NetworkMode } from '../../../graph/op-specs.ts'
import type { Environment } from '../expand/types.ts'
import type { Output } from './pending.ts'

export interface BuildState {
  /** Undefined: scratch. */
  output: Output | undefined
  /** ENV and ARG values, in the order of the last setting. */
  readonly env: Map<string, string>
  directory: string
  user: string
  hostname: string
  network: NetworkMode
  /** Undefined until an image says it. */
  platform: Platform | undefined
}

export function createState(output: Output | undefined, platform?: Platform): BuildState {
  return { output, env: new Map(), directory: '/', user: '', hostname: '', network: 'default', platform }
}

export function copyState(state: BuildState): BuildState {
  return { ...state, env: new Map(state.env) }
}

/** Sets a variable and moves it to the end: the order of a step's environment is that of the last settings. */
export function setVariable(state: BuildState, name: string, value: string): void {
  state.env.delete(name)
  state.env.set(name, value)
}

/** The variables as expansion sees them. */
export function environmentOf(state: BuildState): Environment {
  return state.env
}
