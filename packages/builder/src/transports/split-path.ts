import { BuilderError } from '../base/errors.ts'

/** `PATH[:NAME]`, split at the first colon as skopeo does. @throws OCI_OPTION_INVALID without a path */
export function splitPath(transport: string, rest: string): readonly [path: string, name: string | undefined] {
  const at = rest.indexOf(':')
  const path = at < 0 ? rest : rest.slice(0, at)
  if (path === '') throw new BuilderError('OCI_OPTION_INVALID', `${transport}:${rest} names no path`)
  const name = at < 0 ? '' : rest.slice(at + 1)
  return [path, name === '' ? undefined : name]
}
