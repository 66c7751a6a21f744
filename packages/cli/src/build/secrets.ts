import type { SecretSource, SshSource } from '@ts-oci/builder'
import { UsageError } from '../usage-error.ts'
import { csvFields, keyValues, splitOnce } from './csv.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** `id=npm,src=FILE`, `id=npm,env=NAME`, `type=file|env`; without a source the variable or the file of that id. @throws UsageError */
export function parseSecret(text: string, env: Environment): SecretSource {
  const values: Record<string, string> = {}
  for (const [key, value] of keyValues(text)) {
    if (value === undefined) throw invalid(text, `"${key}" is no NAME=VALUE`)
    const name = key.toLowerCase()
    if (!['id', 'src', 'source', 'env', 'type'].includes(name)) throw invalid(text, `unexpected key "${key}"`)
    values[name === 'source' ? 'src' : name] = value
  }
  const { id, src, type } = values
  if (type !== undefined && type !== 'file' && type !== 'env') throw invalid(text, `unsupported type "${type}"`)
  const wanted = id ?? src?.split('/').at(-1)
  if (!wanted) throw invalid(text, 'the id is missing')
  if (src !== undefined && values['env'] !== undefined) throw invalid(text, 'src and env exclude each other')
  if (type === 'env') return { id: wanted, env: values['env'] ?? src ?? wanted }
  if (values['env'] !== undefined) return { id: wanted, env: values['env'] }
  if (src !== undefined) return { id: wanted, file: src }
  return Object.hasOwn(env, wanted) && env[wanted] !== undefined && type !== 'file'
    ? { id: wanted, env: wanted }
    : { id: wanted, file: wanted }
}

/** `default` (the agent of $SSH_AUTH_SOCK), `ID=SOCKET` or `ID=KEY,KEY`. */
export function parseSsh(text: string): SshSource {
  const [id, paths] = splitOnce(text, '=')
  return paths === undefined || paths === '' ? { id } : { id, paths: csvFields(paths) }
}

function invalid(text: string, reason: string): UsageError {
  // A secret's value has no business on the command line, but who put it there must not find it in a log.
  const shown = text.replaceAll(/(env|src|source)=[^,]*/g, '$1=…')
  return new UsageError(`invalid argument "${shown}" for --secret: ${reason}`, {
    hint: '--secret id=ID,src=FILE or --secret id=ID,env=NAME',
  })
}
