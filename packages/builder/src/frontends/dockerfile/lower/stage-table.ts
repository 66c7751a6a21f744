/** The stages of a file, by name and number, and the images that instructions name besides. */
import { lowerCase } from '../../../base/text.ts'
import { copyOutline } from './outline.ts'
import type { StageState } from './stage-state.ts'

export interface StageTable {
  readonly list: readonly StageState[]
  /** Appends a stage; it builds on an earlier one if that has the name of its base. */
  add(stage: StageState): void
  /** Names of stages do not depend on case here, unlike in FROM. */
  find(name: string): StageState | undefined
  at(index: number): StageState | undefined
  /** Names for suggestions. */
  names(): string[]
}

export function createStageTable(): StageTable {
  const list: StageState[] = []
  const byName = new Map<string, StageState>()
  return {
    list,
    add(stage) {
      list.push(stage)
      const base = byName.get(stage.baseName)
      if (base !== undefined) {
        stage.base = base
        stage.outline = copyOutline(base.outline)
      }
      if (stage.name !== '') byName.set(lowerCase(stage.name), stage)
    },
    find: (name) => byName.get(lowerCase(name)),
    at: (index) => list[index],
    names: () => list.map((stage) => stage.displayName).filter((name) => name !== ''),
  }
}

/** The stages that a stage needs, itself included. */
export function reachableFrom(target: StageState): ReadonlySet<StageState> {
  const reached = new Set([target])
  // A set iterates over what is added meanwhile.
  for (const stage of reached) {
    if (stage.base !== undefined) reached.add(stage.base)
    for (const dependency of stage.dependencies.keys()) reached.add(dependency)
  }
  return reached
}
