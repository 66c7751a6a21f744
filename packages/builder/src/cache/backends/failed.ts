import { BuilderError } from '../../base/errors.ts'
import type { TsOciErrorOptions } from '../../base/errors.ts'

/** The place of a cache did not do what was asked of it. */
export function cacheFailed(message: string, options: TsOciErrorOptions = {}): BuilderError {
  return new BuilderError('OCI_CACHE_FAILED', message, options)
}
