import type { SourceFile, SourceRange } from '../../../base/source.ts'
import { parseDockerfile, type ParseOptions } from '../read/parse.ts'

export interface TargetInfo {
  readonly name: string
  /** The one that is built when none is named. */
  readonly isDefault: boolean
  readonly description: string
  /** As written, not expanded. */
  readonly base: string
  readonly platform: string
  readonly location: SourceRange
}

export interface TargetList {
  readonly targets: readonly TargetInfo[]
  readonly source: SourceFile
}

/** The stages that a file offers. @throws BuilderError when it cannot be parsed. */
export function listTargets(text: string | Uint8Array, options: ParseOptions = {}): TargetList {
  const { stages, source } = parseDockerfile(text, options)
  const targets = stages.map((stage) => ({
    name: stage.name,
    isDefault: stage.index === stages.length - 1,
    description: stage.docComment,
    base: stage.baseName,
    platform: stage.platformFlag,
    location: stage.location,
  }))
  return { targets, source }
}
