/** What the token of a GitHub job says of itself: which scopes of the cache it may read, and which one it may write. */
import { cacheFailed } from '../failed.ts'

/** A branch or pull request: `refs/heads/main`, `refs/pull/7/merge`. */
export interface CacheScope {
  readonly name: string
  readonly mayRead: boolean
  readonly mayWrite: boolean
}

/** It is not verified: the service does that. @throws OCI_CACHE_FAILED for what is no such token, or has expired */
export function readScopes(token: string, nowMs: number): readonly CacheScope[] {
  const claims = claimsOf(token)
  const { ac, exp, nbf } = claims ?? {}
  if (typeof ac !== 'string') throw notAToken()
  if (typeof exp === 'number' && exp * 1000 < nowMs)
    throw cacheFailed(`the token of the cache has expired at ${new Date(exp * 1000).toISOString()}`)
  if (typeof nbf === 'number' && nbf * 1000 > nowMs)
    throw cacheFailed(`the token of the cache is not valid before ${new Date(nbf * 1000).toISOString()}`, {
      hint: "is this machine's clock right?",
    })
  const scopes = parse(ac)
  if (!Array.isArray(scopes)) throw notAToken()
  return scopes.flatMap((one: unknown) => {
    const { Scope: name, Permission: bits } = (one ?? {}) as { readonly Scope?: unknown; readonly Permission?: unknown }
    if (typeof name !== 'string' || typeof bits !== 'number') return []
    return [{ name, mayRead: (bits & 1) !== 0, mayWrite: (bits & 2) !== 0 }]
  })
}

function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload = ''] = token.split('.')
  const claims = parse(Buffer.from(payload, 'base64url').toString('utf8'))
  return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function notAToken(): Error {
  return cacheFailed('the token of the cache is none of a GitHub job: it names no scopes', {
    hint: 'token=, or ACTIONS_RUNTIME_TOKEN as the runner sets it',
  })
}
