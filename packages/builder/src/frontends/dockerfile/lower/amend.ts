import { BuilderError } from '../../../base/errors.ts'
import type { Amendments } from '../../types.ts'
import type { ParsedDockerfile, Stage, StageInstruction } from '../read/ast.ts'
import { parseDockerfile } from '../read/parse.ts'
import { checkMount } from '../read/mount.ts'

/**
 * A file as if other words stood in it: a first FROM with another image, an ENV behind every FROM, mounts of every RUN. Places and
 * names of what was written stay.
 * @throws BuilderError OCI_OPTION_INVALID for a mount that cannot be read
 */
export function amendDockerfile(parsed: ParsedDockerfile, amend: Amendments | undefined): ParsedDockerfile {
  if (amend === undefined) return parsed
  const mounts = amend.mounts ?? []
  for (const mount of mounts) readable(mount)
  const env = Object.entries(amend.env ?? {}).map(([name, value]) => `${quoted(name)}=${quoted(value)}`)
  return {
    ...parsed,
    stages: parsed.stages.map((stage) => ({
      ...stage,
      baseName: stage.index === 0 ? (amend.from ?? stage.baseName) : stage.baseName,
      instructions: [
        ...envOf(env, stage),
        ...stage.instructions.map((instruction) =>
          instruction.kind === 'run' && mounts.length > 0
            ? { ...instruction, mountSpecs: [...instruction.mountSpecs, ...mounts] }
            : instruction,
        ),
      ],
    })),
  }
}

function readable(mount: string): void {
  try {
    checkMount(mount)
  } catch (error) {
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      `invalid mount ${JSON.stringify(mount)}: ${(error as Error).message}`,
      {
        hint: 'as in RUN --mount=…',
      },
    )
  }
}

/** As buildah writes it: variables of the stage count in a value. */
function envOf(pairs: readonly string[], { location }: Stage): readonly StageInstruction[] {
  if (pairs.length === 0) return []
  const { stages } = parseDockerfile(`FROM scratch\nENV ${pairs.join(' ')}\n`)
  return stages[0]!.instructions.map((instruction) => ({ ...instruction, location }))
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}
