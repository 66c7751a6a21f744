import { BuilderError, type BuilderErrorCode } from '../base/errors.ts'
import { type ExplainedResponse, headerOf } from './transport.ts'
import { retryAfterMs } from './retry.ts'

const MAX_ERROR_BYTES = 64 * 1024
const MAX_MESSAGE = 300

export interface DocumentLimits {
  readonly maxBytes: number
  readonly deadlineMs: number
}

/**
 * Reads a whole body, bounded in bytes and in time.
 * @throws OCI_REGISTRY_PROTOCOL when it is larger, OCI_REGISTRY_UNREACHABLE (transient) when it takes longer.
 */
export async function readDocument(response: ExplainedResponse, limits: DocumentLimits, what: string): Promise<Buffer> {
  const declared = Number(headerOf(response, 'content-length') ?? 0)
  const tooLarge = (): BuilderError =>
    new BuilderError('OCI_REGISTRY_PROTOCOL', `${what} is larger than ${limits.maxBytes} bytes`, {
      hint: 'no ordinary registry sends such a document; check what this name points to',
    })
  if (declared > limits.maxBytes) {
    response.body.destroy()
    throw tooLarge()
  }
  const late = new BuilderError(
    'OCI_REGISTRY_UNREACHABLE',
    `${what} did not come within ${limits.deadlineMs / 1000} s`,
    { hint: 'try again; the registry may be overloaded', details: { isTransient: true } },
  )
  const timer = setTimeout(() => response.body.destroy(late), limits.deadlineMs)
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > limits.maxBytes) throw tooLarge()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    throw response.explain(error)
  } finally {
    clearTimeout(timer)
    response.body.destroy()
  }
}

export interface FailureContext {
  /** `blob sha256:… of docker.io/library/debian`. */
  readonly what: string
  readonly registry: string
  readonly deadlineMs: number
  /** Takes the secrets of this client out of text that the registry sent. */
  readonly redact: (text: string) => string
  /** What is known about the credentials that were tried. */
  readonly notes: readonly string[]
  /** Whether one was shown. */
  readonly hasCredential: boolean
}

/** Makes a typed error of a response that is not what was asked for; reads its body. */
export async function failureOf(response: ExplainedResponse, context: FailureContext): Promise<BuilderError> {
  const { text, codes } = await errorText(response, context.deadlineMs)
  const said = context.redact(text)
  const { status } = response
  const wait = retryAfterMs(headerOf(response, 'retry-after'), Date.now())
  const isTransient = status === 429 || status === 408 || status >= 500
  const [code, meaning, hint] = meaningOf(status, context)
  return new BuilderError(code, `${context.what}: ${meaning}${said === '' ? '' : ` (${said})`}`, {
    hint,
    details: {
      registry: context.registry,
      status,
      codes,
      ...(isTransient ? { isTransient } : {}),
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  })
}

function meaningOf(
  status: number,
  { registry, notes, hasCredential }: FailureContext,
): readonly [BuilderErrorCode, string, string] {
  const tried = notes.length === 0 ? '' : ` (${notes.join('; ')})`
  if (status === 401)
    return [
      'OCI_REGISTRY_UNAUTHORIZED',
      `${registry} wants ${hasCredential ? 'other credentials' : 'a login'}, or it does not exist`,
      `log in: ${loginCommand(registry)}${tried}`,
    ]
  if (status === 403)
    return ['OCI_REGISTRY_DENIED', `${registry} denies access`, `check the rights of this login${tried}`]
  if (status === 404)
    return [
      'OCI_REGISTRY_NOT_FOUND',
      `not found on ${registry}`,
      'check the name, the tag and the spelling of the registry',
    ]
  if (status === 429)
    return [
      'OCI_REGISTRY_DENIED',
      `${registry} says that there were too many requests`,
      'wait, or log in: known users have a higher limit',
    ]
  if (status >= 500)
    return [
      'OCI_REGISTRY_PROTOCOL',
      `${registry} failed with status ${status}`,
      'try again later; the fault is on its side',
    ]
  return [
    'OCI_REGISTRY_PROTOCOL',
    `${registry} answered with status ${status}`,
    'check that this is a registry, and what proxies are in between',
  ]
}

/** What to type; the logins of Docker and Podman are found, too. */
export function loginCommand(registry: string): string {
  return registry === 'docker.io' ? 'tsbuild login' : `tsbuild login ${registry}`
}

/** @returns what it says, for people, and the distribution specification's codes */
async function errorText(
  response: ExplainedResponse,
  deadlineMs: number,
): Promise<{ readonly text: string; readonly codes: readonly string[] }> {
  let text: string
  try {
    text = (await readDocument(response, { maxBytes: MAX_ERROR_BYTES, deadlineMs }, 'error')).toString('utf8')
  } catch {
    // The status says enough.
    return { text: '', codes: [] }
  }
  const codes = [...new Set(text.match(/(?<="code":\s?")[A-Z_]{1,40}(?=")/g))].slice(0, 3)
  return { text: printable(messageIn(text)), codes }
}

/** The distribution specification's `{"errors": [{"code", "message"}]}`, or a token service's `details` and `error_description`. */
function messageIn(text: string): string {
  let value: { errors?: unknown; details?: unknown; error_description?: unknown; message?: unknown }
  try {
    value = JSON.parse(text) as typeof value
  } catch {
    return ''
  }
  if (typeof value !== 'object' || value === null) return ''
  if (Array.isArray(value.errors)) {
    return value.errors
      .slice(0, 3)
      .map((one: { code?: unknown; message?: unknown } | null) =>
        [one?.code, one?.message].filter((part) => typeof part === 'string' && part !== '').join(': '),
      )
      .join('; ')
  }
  return (
    [value.details, value.error_description, value.message].find((part): part is string => typeof part === 'string') ??
    ''
  )
}

/** A stranger's text for a terminal: no control characters, and not endless. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what must go
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ').slice(0, MAX_MESSAGE)
}
