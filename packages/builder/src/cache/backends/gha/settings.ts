import { BuilderError } from '../../../base/errors.ts'
import { parseBoolean } from '../../../base/boolean.ts'
import type { Attributes } from '../../../exporters/attributes.ts'
import { readDuration } from '../attributes.ts'

export interface GhaSettings {
  /** Part of the keys: several caches of one branch. */
  readonly scope: string
  /** Where the service is; undefined: not in a job of GitHub. */
  readonly service: { readonly version: 1 | 2; readonly url: URL; readonly token: string } | undefined
  readonly timeoutMs: number
  /** Lists what is there, instead of a question for each layer. */
  readonly listing: { readonly url: URL; readonly token: string } | undefined
}

const DEFAULT_TIMEOUT_MS = 600_000

type Environment = Readonly<Record<string, string | undefined>>

/** The rules of buildx and BuildKit, which of the two services it is. @throws OCI_OPTION_INVALID */
export function readGhaSettings(attributes: Attributes, environment: Environment = process.env): GhaSettings {
  const scope = attributes.text('scope') ?? 'buildkit'
  const token = attributes.text('token') || environment['ACTIONS_RUNTIME_TOKEN']
  const isV2Runner = parseBoolean(environment['ACTIONS_CACHE_SERVICE_V2'] ?? '') === true
  const wanted = attributes.integer('version', 1, 2) ?? (isV2Runner ? 2 : undefined)
  const { ACTIONS_RESULTS_URL: results, ACTIONS_CACHE_URL: cache } = environment
  const urlV2 = attributes.text('url_v2') || (wanted === 2 ? results : undefined)
  const url = attributes.text('url') || cache || results
  const service = wanted !== 1 && urlV2 ? { version: 2 as const, url: urlV2 } : url ? ofOne(url, wanted) : undefined
  return {
    scope,
    service: service && token ? { version: service.version, url: parseUrl(service.url), token } : undefined,
    timeoutMs: readDuration(attributes, 'gha', 'timeout', DEFAULT_TIMEOUT_MS),
    listing: readListing(attributes, environment),
  }
}

/** GitHub's own newer service is known by its name, whatever the variable that it stands in. */
function ofOne(url: string, wanted: number | undefined): { readonly version: 1 | 2; readonly url: string } {
  const isNewer = url.includes('results-receiver.actions.githubusercontent.com')
  return { version: wanted === 2 || (wanted === undefined && isNewer) ? 2 : 1, url }
}

function readListing(attributes: Attributes, environment: Environment): GhaSettings['listing'] {
  const repository = attributes.text('repository')
  const token = attributes.text('ghtoken')
  if (!repository || !token) return undefined
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) throw invalid(`repository=${repository}: OWNER/NAME expected`)
  const api = (environment['GITHUB_API_URL'] || 'https://api.github.com').replace(/\/*$/, '')
  return { url: parseUrl(`${api}/repos/${repository}/actions/caches`), token }
}

function parseUrl(text: string): URL {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return new URL(text)
  throw invalid('the address of the service is none with http:// or https://')
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `cache type=gha: ${what}`)
}
