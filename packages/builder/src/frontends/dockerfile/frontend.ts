import type { ParsedDockerfile } from './read/ast.ts'
import { amendDockerfile } from './lower/amend.ts'
import { lintDockerfile } from './answers/lint.ts'
import { lowerDockerfile, toWarning } from './lower/lower.ts'
import { parseDockerfile } from './read/parse.ts'
import type { Frontend, FrontendInput, FrontendOptions, LowerOptions, Recipe } from '../types.ts'

/** Dockerfiles, as BuildKit's own frontend reads them. */
export const dockerfileFrontend: Frontend = {
  name: 'dockerfile',
  accepts: ({ file }) => file !== undefined,
  read: async (input) => recipeOf(input),
}

function recipeOf({ file }: FrontendInput): Recipe {
  const { text, name } = file!
  const parsed: ParsedDockerfile = parseDockerfile(text, { name })
  return {
    lower: (options, environment) =>
      Promise.all(
        eachPlatform(options).map((one) => lowerDockerfile(amendDockerfile(parsed, one.amend), one, environment)),
      ),
    warnings: async (options, environment) => {
      const { findings } = await lintDockerfile(text, eachPlatform(options)[0]!, environment, { name })
      return findings.map(toWarning)
    },
  }
}

/** The options of lowering, for each platform. */
export function eachPlatform({ platforms, ...common }: FrontendOptions): readonly LowerOptions[] {
  const several = platforms.length > 1 ? { multiPlatform: true } : {}
  return platforms.map((targetPlatform) => ({ ...common, ...several, targetPlatform }))
}
