import { createHash, hash } from 'node:crypto'
import { BuilderError } from '../base/errors.ts'

declare const brand: unique symbol
/** `sha256:<64 hex>` of stored bytes (image-spec, descriptor.md, Digests). */
export type Digest = string & { readonly [brand]: 'Digest' }
/** Digest of an uncompressed layer tar (image-spec, config.md, Layer DiffID). */
export type DiffID = string & { readonly [brand]: 'DiffID' }
/** Digest of a stack of diffIDs (image-spec, config.md, Layer ChainID). */
export type ChainID = string & { readonly [brand]: 'ChainID' }

const SHA256 = /^sha256:[0-9a-f]{64}$/

/** True for a well-formed sha256 digest. */
export function isDigest(text: string): text is Digest {
  return SHA256.test(text)
}

/** @throws OCI_DIGEST_INVALID unless `text` is `sha256:` and 64 lower-case hex digits. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new BuilderError('OCI_DIGEST_INVALID', `invalid digest ${JSON.stringify(text.slice(0, 100))}`, {
    hint: 'a digest is sha256: and 64 lower-case hexadecimal digits',
  })
}

/** Digest of bytes or of UTF-8 text. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', data, 'hex')}` as Digest
}

/** The hex part of a digest. */
export function digestHex(digest: Digest | DiffID | ChainID): string {
  return digest.slice(7)
}

/** ChainID of a stack of diffIDs, bottom first; undefined for an empty stack. */
export function chainIdOf(diffIds: readonly DiffID[]): ChainID | undefined {
  let chain: string | undefined
  for (const diffId of diffIds) chain = chain === undefined ? diffId : digestOf(`${chain} ${diffId}`)
  return chain as ChainID | undefined
}

/** A running sha256; `digest()` ends it. */
export interface Digester {
  update(chunk: Uint8Array): void
  digest(): Digest
}

export function createDigester(): Digester {
  const state = createHash('sha256')
  return { update: (chunk) => void state.update(chunk), digest: () => `sha256:${state.digest('hex')}` as Digest }
}
