import { scrubCredentials } from '../base/errors.ts'
import { digestOf } from '../oci/digest.ts'
import type { Platform } from '../oci/types.ts'
import type { OpSpec } from './op-specs.ts'
import type { Edge, Vertex, VertexMetadata } from './types.ts'

/** Makes a vertex; its digest covers the op, the platform and the inputs' digests, never the metadata. */
export function createVertex(
  op: OpSpec,
  inputs: readonly Edge[],
  options: { readonly platform?: Platform | undefined; readonly metadata: VertexMetadata },
): Vertex {
  const definition = canonicalJson({
    op,
    platform: options.platform,
    inputs: inputs.map((edge) => [edge.vertex.digest, edge.output]),
  })
  return { op, inputs, platform: options.platform, digest: digestOf(definition), metadata: shown(op, options.metadata) }
}

/** Progress, logs and the store's records name a vertex: an address that it reads is told without its password. */
function shown(op: OpSpec, metadata: VertexMetadata): VertexMetadata {
  if (op.kind === 'exec' || !metadata.name.includes('://')) return metadata
  return { ...metadata, name: scrubCredentials(metadata.name) }
}

/** JSON with sorted keys, `undefined` left out and bytes as base64: one text for one value. */
export function canonicalJson(value: unknown): string {
  if (value instanceof Uint8Array) return JSON.stringify(`base64:${Buffer.from(value).toString('base64')}`)
  if (value instanceof Map) return canonicalJson(Object.fromEntries(value))
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) {
    // An environment of fifty variables for each of a thousand steps is most of what is hashed.
    if (value.every((item) => typeof item === 'string')) return JSON.stringify(value)
    return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  }
  if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>
    const members = Object.keys(record)
      .filter((key) => record[key] !== undefined)
      .sort()
    return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}
