import { eachPlatform } from '../dockerfile/frontend.ts'
import { lowerDockerfile } from '../dockerfile/lower/lower.ts'
import type { Frontend, FrontendOptions, LowerEnvironment } from '../types.ts'
import { createDocument, type StateDocument } from './document.ts'

/** States of the fluent API: each is lowered as the Dockerfile that says the same. */
export const stateFrontend: Frontend = {
  name: 'state',
  accepts: ({ state }) => state !== undefined,
  read: async ({ state }) => {
    const document = createDocument(state!)
    return {
      source: document.parsed.source,
      lower: async (options, environment) => {
        const told = withDirectories(document, options, environment)
        const each = eachPlatform(told.options)
        return Promise.all(each.map((one) => lowerDockerfile(document.parsed, one, told.environment)))
      },
    }
  },
}

/** A state's directories as named contexts; it has no main one. */
function withDirectories(
  { locals }: StateDocument,
  options: FrontendOptions,
  environment: LowerEnvironment,
): { readonly options: FrontendOptions; readonly environment: LowerEnvironment } {
  const { openDirectory } = environment
  if (openDirectory === undefined) throw new Error('whoever lowers a state must give it directories')
  const directories = [...locals].map(([name, { directory, ignore }]) => {
    const { name: key, ignorePatterns } = openDirectory(directory, ignore)
    return { name, key, ignorePatterns }
  })
  const ignored = new Map(directories.map(({ key, ignorePatterns }) => [key, ignorePatterns]))
  return {
    options: {
      ...options,
      target: undefined,
      // Checks are about how a Dockerfile is written.
      checks: 'skip=all',
      namedContexts: new Map(directories.map(({ name, key }) => [name, `local:${key}`])),
    },
    environment: { ...environment, ignorePatternsOf: async (key) => ignored.get(key) },
  }
}
