import { cacheFailed } from '../failed.ts'
import type { CacheAnswer } from '../http.ts'

/** A good answer's JSON. @throws OCI_CACHE_FAILED */
export function jsonOf(answer: CacheAnswer, what: string): Readonly<Record<string, unknown>> {
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, what)
  const json = parse(answer)
  if (json !== undefined) return json
  throw cacheFailed(`the GitHub Actions cache answered to ${what} with what is no JSON`)
}

/** Somebody has the key already: both services say so, each in its way. */
export function isTaken(answer: CacheAnswer): boolean {
  if (answer.status < 400) return false
  const { typeKey, message, code, msg } = parse(answer) ?? {}
  if (code === 'already_exists') return true
  return String(typeKey).includes('AlreadyExists') || /already exists/i.test(`${String(message)} ${String(msg)}`)
}

export function refusal(answer: CacheAnswer, what: string): Error {
  const { message, msg, code } = parse(answer) ?? {}
  const said = [message, msg, code].find((one): one is string => typeof one === 'string' && one !== '')
  const isDenied = answer.status === 401 || answer.status === 403 || code === 'permission_denied'
  return cacheFailed(`the GitHub Actions cache refused ${what}: ${said ?? `status ${answer.status}`}`, {
    details: { status: answer.status },
    hint: isDenied
      ? 'jobs of pull requests from forks may only read; ignore-error=true builds all the same'
      : undefined,
  })
}

function parse({ bytes }: CacheAnswer): Readonly<Record<string, unknown>> | undefined {
  try {
    // The older service begins some answers with a byte order mark.
    const json: unknown = JSON.parse(
      Buffer.from(bytes)
        .toString('utf8')
        .replace(/^\uFEFF/, ''),
    )
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** An address that the service gives for bytes. @throws OCI_CACHE_FAILED */
export function urlOf(text: unknown): URL {
  if (typeof text === 'string' && /^https?:\/\//.test(text) && URL.canParse(text)) return new URL(text)
  throw cacheFailed('the GitHub Actions cache gave no address for the bytes')
}
