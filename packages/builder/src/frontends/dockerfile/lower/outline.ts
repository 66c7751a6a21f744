/** What a stage takes from outside: arguments, secrets, SSH agents. */
import type { SourceRange } from '../../../base/source.ts'
import type { ArgDefinition } from '../read/ast.ts'

export interface OutlineArgument {
  readonly definition: ArgDefinition
  readonly value: string
  /** Arguments that its default refers to. */
  readonly dependencies: ReadonlySet<string>
  readonly location: SourceRange
}

export interface OutlineSource {
  readonly required: boolean
  readonly location: SourceRange
}

export interface Outline {
  readonly arguments: Map<string, OutlineArgument>
  readonly used: Set<string>
  readonly secrets: Map<string, OutlineSource>
  readonly ssh: Map<string, OutlineSource>
}

export function createOutline(): Outline {
  return { arguments: new Map(), used: new Set(), secrets: new Map(), ssh: new Map() }
}

export function copyOutline(outline: Outline): Outline {
  return {
    arguments: new Map(outline.arguments),
    used: new Set(outline.used),
    secrets: new Map(outline.secrets),
    ssh: new Map(outline.ssh),
  }
}
