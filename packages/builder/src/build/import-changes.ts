import { BuilderError } from '../base/errors.ts'
import { upperCase } from '../base/text.ts'
import { lowerDockerfile, parseDockerfile } from '../frontends/dockerfile/index.ts'
import type { ContainerConfig, Platform } from '../oci/types.ts'

/** Those that docker import and docker commit take. */
const TAKEN: ReadonlySet<string> = new Set([
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'stopsignal',
  'user',
  'volume',
  'workdir',
])

/** The base of the stage in which changes are read; nobody is asked for it. */
const NOTHING = 'import.invalid/nothing'

/**
 * What instructions of a Dockerfile make of an image that says nothing.
 * @throws OCI_DOCKERFILE_INVALID in Docker's words for one that says nothing of how a container runs, OCI_DOCKERFILE_PARSE
 */
export async function importChanges(changes: readonly string[], platform: Platform): Promise<ContainerConfig> {
  if (changes.length === 0) return {}
  const parsed = parseDockerfile(`FROM ${NOTHING}\n${changes.join('\n')}\n`, { name: 'change' })
  const refused =
    parsed.stages.length > 1 ? 'from' : parsed.stages[0]!.instructions.find(({ kind }) => !TAKEN.has(kind))?.kind
  if (refused !== undefined)
    throw new BuilderError('OCI_DOCKERFILE_INVALID', `${upperCase(refused)} is not a valid change command`, {
      hint: `one of ${[...TAKEN].map(upperCase).join(', ')}`,
    })
  const { config } = await lowerDockerfile(
    parsed,
    {
      buildArgs: new Map(),
      labels: new Map(),
      target: undefined,
      buildPlatform: platform,
      targetPlatform: platform,
      isPlatformRequested: false,
      namedContexts: new Map(),
      noCache: false,
      noCacheFilter: [],
      pull: false,
      networkMode: 'default',
      extraHosts: [],
      contextName: 'context',
    },
    {
      resolveImageConfig: async (reference) => ({
        reference,
        digest: `sha256:${'0'.repeat(64)}`,
        config: { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [] } },
      }),
    },
  )
  // It says how Windows is to read a command line, and import says nothing of it.
  const { ArgsEscaped: _, Env: env = [], ...rest } = config.config
  const names = parsed.stages[0]!.instructions.flatMap((one) =>
    one.kind === 'env' ? one.pairs.map(({ key }) => key) : [],
  )
  return { ...rest, Env: withOwnPath(env, names) }
}

/** A Dockerfile begins with a search path; here it is what a change sets, where that sets it. */
function withOwnPath(env: readonly string[], names: readonly string[]): readonly string[] {
  const isPath = (entry: string): boolean => entry.startsWith('PATH=')
  const others = env.filter((entry) => !isPath(entry))
  if (!names.includes('PATH')) return others
  const before = new Set(names.slice(0, names.indexOf('PATH'))).size
  return [...others.slice(0, before), ...env.filter(isPath), ...others.slice(before)]
}
