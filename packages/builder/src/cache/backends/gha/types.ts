import type { CacheAnswer, CacheHttp } from '../http.ts'

/** An entry of the cache: what is under a key is never another, but may be gone. */
export interface GhaEntry {
  readonly key: string
  /** From where its bytes come, without a token. */
  readonly url: URL
  /** Which branch wrote it; the newer service does not say. */
  readonly scope: string | undefined
}

export interface Content {
  readonly size: number
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** The two protocols of GitHub's cache. */
export interface GhaService {
  /** The newest entry whose key begins so, of the job's own branch first. */
  find(prefix: string, signal: AbortSignal): Promise<GhaEntry | undefined>
  /** Nothing is seen of it before it is whole. False: the key is taken. @throws OCI_CACHE_FAILED */
  save(key: string, content: Content, signal: AbortSignal): Promise<boolean>
}

export interface ServiceParts {
  readonly http: CacheHttp
  readonly version: string
  ask(
    path: string,
    request: { readonly method: 'GET' | 'POST'; readonly json?: unknown; readonly signal: AbortSignal },
  ): Promise<CacheAnswer>
}
