import { TsOciError, type TsOciErrorOptions } from '@ts-oci/runtime'

export { TsOciError, isTsOciError, scrubCredentials, type ErrorLocation, type TsOciErrorOptions } from '@ts-oci/runtime'

/** Every code of this package, declared once. Programs compare these; they do not change. */
export type BuilderErrorCode =
  // input
  | 'OCI_CONTEXT_NOT_FOUND'
  | 'OCI_CONTEXT_INVALID'
  | 'OCI_CONTEXT_CHANGED'
  | 'OCI_DOCKERFILE_NOT_FOUND'
  | 'OCI_DOCKERFILE_PARSE'
  | 'OCI_DOCKERFILE_INVALID'
  | 'OCI_DOCKERFILE_UNSUPPORTED'
  | 'OCI_DOCKERFILE_CHECK'
  | 'OCI_IGNORE_PATTERN'
  | 'OCI_STAGE_NOT_FOUND'
  | 'OCI_OPTION_INVALID'
  | 'OCI_OPTION_UNSUPPORTED'
  | 'OCI_SECRET_NOT_FOUND'
  // formats
  | 'OCI_REFERENCE_INVALID'
  | 'OCI_DIGEST_INVALID'
  | 'OCI_DIGEST_MISMATCH'
  | 'OCI_PLATFORM_INVALID'
  | 'OCI_MANIFEST_INVALID'
  | 'OCI_CONFIG_INVALID'
  | 'OCI_MEDIA_TYPE_UNSUPPORTED'
  | 'OCI_LAYER_INVALID'
  | 'OCI_ARCHIVE_INVALID'
  | 'OCI_COMPRESSION_UNSUPPORTED'
  // store
  | 'OCI_STORE_UNUSABLE'
  | 'OCI_STORE_FULL'
  | 'OCI_STORE_VERSION'
  | 'OCI_BLOB_NOT_FOUND'
  | 'OCI_IMAGE_NOT_FOUND'
  | 'OCI_IMAGE_IN_USE'
  // registry
  | 'OCI_REGISTRY_UNREACHABLE'
  | 'OCI_REGISTRY_UNAUTHORIZED'
  | 'OCI_REGISTRY_NOT_FOUND'
  | 'OCI_REGISTRY_DENIED'
  | 'OCI_REGISTRY_PROTOCOL'
  | 'OCI_REGISTRY_INSECURE'
  | 'OCI_CREDENTIALS'
  | 'OCI_PLATFORM_NOT_FOUND'
  // an engine: Docker, Podman
  | 'OCI_ENGINE_UNREACHABLE'
  | 'OCI_ENGINE_FAILED'
  // build
  | 'OCI_COPY_SOURCE_NOT_FOUND'
  | 'OCI_CACHE_INVALID'
  | 'OCI_CACHE_FAILED'
  | 'OCI_COPY_INVALID'
  | 'OCI_FILE_OP_FAILED'
  | 'OCI_STEP_FAILED'
  | 'OCI_STEP_UNSUPPORTED'
  | 'OCI_FRONTEND_UNSUPPORTED'
  | 'OCI_SOURCE_FAILED'
  | 'OCI_EXPORT_FAILED'
  | 'OCI_CANCELED'

/** An error of the builder; `code` is one of {@link BuilderErrorCode}. */
export class BuilderError extends TsOciError {
  declare readonly code: BuilderErrorCode
  constructor(code: BuilderErrorCode, message: string, options: TsOciErrorOptions = {}) {
    super(code, message, options)
    this.name = 'BuilderError'
  }
}
