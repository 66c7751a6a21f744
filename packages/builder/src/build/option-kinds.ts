import { BuilderError } from '../base/errors.ts'
import { findSuggestion } from '../base/suggest.ts'
import type { BuildOptions } from './public-types.ts'

type Kind = 'text' | 'texts' | 'record' | 'list' | 'flag' | 'number' | 'object' | 'other'

/** Of every option, so that a new one cannot be forgotten. `other`: it is looked at where it is read. */
const KINDS: Readonly<Record<keyof BuildOptions, Kind>> = {
  amend: 'object',
  ignoreFile: 'text',
  context: 'text',
  file: 'text',
  dockerfile: 'text',
  stdin: 'object',
  state: 'object',
  tags: 'texts',
  target: 'text',
  buildArgs: 'record',
  labels: 'record',
  annotations: 'record',
  platform: 'text',
  buildContexts: 'record',
  secrets: 'list',
  ssh: 'list',
  cacheFrom: 'list',
  cacheTo: 'list',
  noCache: 'flag',
  noCacheFilter: 'texts',
  keepCacheMounts: 'flag',
  pull: 'other',
  network: 'text',
  addHosts: 'texts',
  allow: 'texts',
  cdiSpecDirs: 'texts',
  ulimits: 'texts',
  shmSizeBytes: 'number',
  resources: 'object',
  outputs: 'list',
  push: 'flag',
  sourceDateEpoch: 'number',
  store: 'text',
  signal: 'object',
  onProgress: 'other',
  session: 'object',
  gc: 'other',
  insecureRegistries: 'texts',
  authFile: 'text',
  mirrors: 'texts',
  registriesConf: 'text',
  certDir: 'text',
  certificates: 'texts',
  retryDelayMs: 'number',
  retries: 'number',
  isolation: 'text',
  snapshots: 'text',
  jobs: 'number',
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const CHECKS: Readonly<Record<Kind, { readonly words: string; readonly fits: (value: unknown) => boolean }>> = {
  text: { words: 'a text', fits: isText },
  texts: { words: 'a list of texts', fits: (value) => Array.isArray(value) && value.every(isText) },
  record: {
    words: 'a record of texts',
    fits: (value) => isObject(value) && Object.values(value).every(isText),
  },
  list: { words: 'a list of records', fits: (value) => Array.isArray(value) && value.every(isObject) },
  flag: { words: 'true or false', fits: (value) => typeof value === 'boolean' },
  number: { words: 'a number', fits: (value) => typeof value === 'number' },
  object: { words: 'an object', fits: isObject },
  other: { words: '', fits: () => true },
}

/** Of options that a flag of the command line says in one text. */
const EXAMPLES = new Map(
  Object.entries({
    outputs: "outputs: [{ type: 'oci', dest: 'my-app.tar' }]",
    secrets: "secrets: [{ id: 'npm', file: '.npmrc' }]",
    cacheFrom: "cacheFrom: [{ type: 'registry', ref: 'user/app:cache' }]",
    cacheTo: "cacheTo: [{ type: 'registry', ref: 'user/app:cache', mode: 'max' }]",
    buildArgs: "buildArgs: { NAME: 'value' }",
  }),
)

/**
 * Programs in JavaScript, and options that were read from somewhere, have no compiler to check them.
 * @param more names that belong to the call alone
 * @throws BuilderError OCI_OPTION_INVALID for a name that there is not, or a value of another kind
 */
export function checkOptionKinds(options: BuildOptions, more: readonly string[] = []): void {
  for (const [name, value] of Object.entries(options)) {
    if (more.includes(name)) continue
    if (!Object.hasOwn(KINDS, name)) {
      const near = findSuggestion(name, [...Object.keys(KINDS), ...more], { caseSensitive: true })
      throw new BuilderError('OCI_OPTION_INVALID', `unknown option ${name}`, {
        hint: near === undefined ? `known: ${[...Object.keys(KINDS), ...more].join(', ')}` : `did you mean ${near}?`,
      })
    }
    const kind = KINDS[name as keyof BuildOptions]
    const { words, fits } = CHECKS[kind]
    if (value === undefined || fits(value)) continue
    throw new BuilderError('OCI_OPTION_INVALID', `the option ${name} has to be ${words}, not ${shown(value)}`, {
      hint: kind === 'texts' && isText(value) ? `${name}: [${JSON.stringify(value)}]` : EXAMPLES.get(name),
    })
  }
}

/** What it is; a value may be a secret. */
function shown(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'such a list'
  return { string: 'a text', object: 'such an object' }[typeof value as string] ?? `a ${typeof value}`
}
