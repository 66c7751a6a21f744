import { parseBoolean } from '../../base/boolean.ts'
import { BuilderError } from '../../base/errors.ts'
import { parseTimeBound } from '../../oci/time-bound.ts'
import { parseSpace } from '../../store/spaces.ts'
import type { MountBounds } from '../carried-mounts.ts'
import type { CacheSpec } from './types.ts'

const DEFAULT_MAX_BYTES = 2 * 1024 ** 3

/**
 * What a cache says of cache mounts, and the rest, which its backend reads: every backend has these attributes.
 * @param isDefault whether they travel where nothing is said
 * @throws OCI_OPTION_INVALID
 */
export function takeMountAttributes(
  { type, attrs }: CacheSpec,
  isDefault: boolean,
): { readonly spec: CacheSpec; readonly mounts: MountBounds | undefined } {
  const { mounts, 'mounts-max-size': size, 'mounts-max-age': age, ...rest } = attrs
  const wrong = (name: string, wanted: string): BuilderError =>
    new BuilderError('OCI_OPTION_INVALID', `cache type=${type}: ${name}=${attrs[name]}: ${wanted} expected`)
  const isWanted = mounts === undefined ? isDefault : mounts === '' ? true : parseBoolean(mounts)
  if (isWanted === undefined) throw wrong('mounts', 'true or false')
  const maxBytes = size === undefined ? DEFAULT_MAX_BYTES : parseSpace(size)
  if (typeof maxBytes !== 'number') throw wrong('mounts-max-size', 'a size such as 500MB')
  const since = age === undefined || !/[a-z]$/.test(age) ? undefined : parseTimeBound(age, 0)
  if (age !== undefined && since === undefined) throw wrong('mounts-max-age', 'a time such as 72h')
  const maxAgeMs = since === undefined ? Number.POSITIVE_INFINITY : -since
  return { spec: { type, attrs: rest }, mounts: isWanted ? { maxBytes, maxAgeMs } : undefined }
}
