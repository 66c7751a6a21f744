import { closeSync, openSync, readSync } from 'node:fs'
import { errnoWords } from '../base/errno-words.ts'
import { BuilderError } from '../base/errors.ts'
import type { SecretSource } from './public-types.ts'

/** BuildKit's bound for one secret. */
const MAX_SECRET_BYTES = 500 * 1024

/** Looks secrets up by id; each is read when a step asks for it, and never written anywhere. */
export function createSecrets(sources: readonly SecretSource[]): (id: string) => Promise<Uint8Array | undefined> {
  for (const source of sources) {
    if (source.id === '') throw new BuilderError('OCI_OPTION_INVALID', 'a secret needs an id')
    if (source.file !== undefined) readSecretFile(source)
  }
  return async (id) => {
    const source = sources.find((candidate) => candidate.id === id)
    if (source === undefined) return undefined
    if (source.value !== undefined) return typeof source.value === 'string' ? Buffer.from(source.value) : source.value
    if (source.file !== undefined) return readSecretFile(source)
    // Without src or env, the environment variable of that name counts, then a file of that name (buildx).
    const name = source.env ?? id
    const variable = Object.hasOwn(process.env, name) ? process.env[name] : undefined
    if (variable !== undefined) return Buffer.from(variable)
    if (source.env !== undefined) return undefined
    return readSecretFile({ ...source, file: id })
  }
}

function readSecretFile(source: SecretSource): Uint8Array {
  const file = source.file!
  let content: Uint8Array
  try {
    content = readBounded(file)
  } catch (error) {
    throw new BuilderError('OCI_SECRET_NOT_FOUND', `failed to stat ${file}: stat ${file}: ${errnoWords(error)}`, {
      cause: error,
      hint: 'the secret is read from there: name a file that exists and that you may read: --secret id=NAME,src=FILE',
    })
  }
  if (content.length > MAX_SECRET_BYTES)
    throw new BuilderError('OCI_OPTION_INVALID', `secret ${source.id} is larger than ${MAX_SECRET_BYTES} bytes`)
  return content
}

/** No more than is allowed and one byte: the file may be a device without end. Pipes are read too: `src=<(command)`. */
function readBounded(file: string): Buffer {
  const fd = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(MAX_SECRET_BYTES + 1)
    let used = 0
    for (let count = -1; count !== 0 && used < buffer.length; used += count)
      count = readSync(fd, buffer, used, buffer.length - used, null)
    return buffer.subarray(0, used)
  } finally {
    closeSync(fd)
  }
}
