import type { StageInstruction } from '../read/ast.ts'
import { dockerfileError } from '../read/errors.ts'
import type { StageState } from './stage-state.ts'

interface Visit {
  readonly stage: StageState
  readonly dependencies: Iterator<readonly [StageState, StageInstruction]>
  /** The instruction that led here. */
  readonly by: StageInstruction | undefined
}

/** @throws BuilderError when stages read each other in a circle. */
export function refuseCycles(stages: readonly StageState[]): void {
  const done = new Set<StageState>()
  for (const start of stages) {
    const instruction = findCycle(start, done)
    if (instruction === undefined) continue
    throw dockerfileError(`circular dependency detected on stage: ${start.displayName}`, instruction.location, {
      code: 'OCI_DOCKERFILE_INVALID',
      hint: 'a stage can only read stages that do not need it',
    })
  }
}

// Depth first with a stack of its own: a chain of stages may be as long as the file.
function findCycle(start: StageState, done: Set<StageState>): StageInstruction | undefined {
  if (done.has(start)) return undefined
  const path: Visit[] = [visit(start, undefined)]
  const onPath = new Set([start])
  done.add(start)
  while (path.length > 0) {
    const current = path.at(-1)!
    const next = current.dependencies.next()
    if (next.done === true) {
      onPath.delete(current.stage)
      path.pop()
      continue
    }
    const [stage, by] = next.value
    if (onPath.has(stage)) return path[1]?.by ?? by
    if (done.has(stage)) continue
    done.add(stage)
    onPath.add(stage)
    path.push(visit(stage, by))
  }
  return undefined
}

function visit(stage: StageState, by: StageInstruction | undefined): Visit {
  return { stage, dependencies: stage.dependencies.entries(), by }
}
