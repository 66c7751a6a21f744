/** The graph in BuildKit's own format, LLB: what a BuildKit daemon can solve, and what its provenance shows. */
import { create, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf'
import { type Digest, digestOf } from '../oci/digest.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/types.ts'
import { createOp } from './llb-op.ts'
import {
  type Definition,
  DefinitionSchema,
  type Locations,
  LocationsSchema,
  type Op,
  OpSchema,
  type Source,
  SourceInfoSchema,
  SourceSchema,
} from './proto/llb_pb.ts'
import type { Edge, Vertex, VertexMetadata } from './types.ts'

/** A vertex with its bytes; `digest` is theirs, as BuildKit computes it. */
export interface LlbOp {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly message: Op
  /** Undefined for the last one, which only says what the result is. */
  readonly vertex: Vertex | undefined
}

export interface LlbOptions {
  /** For steps and images that say none; the host's by default. */
  readonly platform?: Platform
  /** The file that places refer to. */
  readonly source?: { readonly filename: string; readonly data: Uint8Array }
}

/**
 * Serialises everything that an edge needs, inputs before those who use them; the last op names the result. Vertices
 * that are equal on the wire come once. Empty for an empty image.
 */
export function marshalGraph(edge: Edge | undefined, options: LlbOptions = {}): readonly LlbOp[] {
  if (edge === undefined) return []
  const platform = options.platform ?? hostPlatform()
  const digests = new Map<Digest, Digest>()
  const ops = new Map<Digest, LlbOp>()
  const inputsOf = (edges: readonly Edge[]): { digest: Digest; index: number }[] =>
    edges.map(({ vertex, output }) => ({ digest: digests.get(vertex.digest)!, index: output }))
  for (const vertex of inputsFirst(edge.vertex)) {
    const message = createOp(vertex, inputsOf(vertex.inputs), platform)
    const op = llbOp(message, vertex)
    digests.set(vertex.digest, op.digest)
    if (!ops.has(op.digest)) ops.set(op.digest, op)
  }
  const inputs = inputsOf([edge]).map(({ digest, index }) => ({ digest, index: BigInt(index) }))
  return [...ops.values(), llbOp(create(OpSchema, { inputs }), undefined)]
}

// Go writes the members of a `oneof` behind all other fields, whatever their numbers; the digest depends on it. Two
// messages one behind the other are one message.
function encodeOp({ op, ...rest }: Op): Uint8Array {
  const head = toBinary(OpSchema, create(OpSchema, { ...rest, op: { case: undefined } }))
  return Buffer.concat([head, toBinary(OpSchema, create(OpSchema, { op }))])
}

function llbOp(message: Op, vertex: Vertex | undefined): LlbOp {
  const bytes = encodeOp(message)
  return { digest: digestOf(bytes), bytes, message, vertex }
}

// With a stack of its own: a graph is as deep as the file is long.
function inputsFirst(root: Vertex): Vertex[] {
  const order: Vertex[] = []
  const seen = new Set<Digest>([root.digest])
  const path = [{ vertex: root, next: 0 }]
  while (path.length > 0) {
    const top = path.at(-1)!
    const input = top.vertex.inputs[top.next++]
    if (input === undefined) {
      order.push(top.vertex)
      path.pop()
    } else if (!seen.has(input.vertex.digest)) {
      seen.add(input.vertex.digest)
      path.push({ vertex: input.vertex, next: 0 })
    }
  }
  return order
}

/** The ops with what BuildKit shows of them: names, groups, places. */
export function createDefinition(ops: readonly LlbOp[], options: LlbOptions = {}): Definition {
  const named = ops.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
  return create(DefinitionSchema, {
    def: ops.map(({ bytes }) => new Uint8Array(bytes)),
    metadata: Object.fromEntries(
      named.map(({ digest, vertex }) => [digest, vertex === undefined ? {} : metadataMessage(vertex.metadata)]),
    ),
    ...(options.source === undefined ? {} : { Source: sourceMessage(named, options.source) }),
  })
}

/** The definition as a file that `buildctl` reads. */
export function definitionToBinary(definition: Definition): Uint8Array {
  return toBinary(DefinitionSchema, definition)
}

type MetadataInit = {
  description: Record<string, string>
  ignoreCache?: boolean
  progressGroup?: { id: string; name: string; weak: boolean }
}

function metadataMessage(metadata: VertexMetadata): MetadataInit {
  const { command, progressGroup } = metadata
  return {
    description: {
      ...(command === undefined ? {} : { 'com.docker.dockerfile.v1.command': command }),
      'llb.customname': metadata.name,
      ...metadata.description,
    },
    ...(metadata.ignoreCache === true ? { ignoreCache: true } : {}),
    ...(progressGroup === undefined
      ? {}
      : { progressGroup: { id: progressGroup.id, name: progressGroup.name, weak: progressGroup.weak === true } }),
  }
}

function sourceMessage(ops: readonly LlbOp[], source: NonNullable<LlbOptions['source']>): Source {
  const locations: Record<string, Locations> = {}
  for (const { digest, vertex } of ops) {
    const place = vertex?.metadata.location
    if (place === undefined) continue
    const range = { start: { line: place.startLine }, end: { line: place.endLine } }
    locations[digest] = create(LocationsSchema, { locations: [{ sourceIndex: 0, ranges: [range] }] })
  }
  const info = { filename: source.filename, data: new Uint8Array(source.data), language: 'Dockerfile' }
  return create(SourceSchema, { locations, infos: [create(SourceInfoSchema, info)] })
}

/** Digest → op, metadata and places as JSON: what BuildKit's `frontend.convertllb` answers. */
export interface LlbJson {
  readonly def: Readonly<Record<string, JsonValue>>
  readonly metadata: Readonly<Record<string, LlbMetadataJson>>
  readonly source: JsonValue
}

export interface LlbMetadataJson {
  readonly ignore_cache?: boolean
  readonly description?: Readonly<Record<string, string>>
  readonly progress_group?: { readonly id: string; readonly name: string; readonly weak?: boolean }
}

/** The definition as JSON, for people and programs. */
export function definitionToJson(ops: readonly LlbOp[], options: LlbOptions = {}): LlbJson {
  return {
    def: Object.fromEntries(ops.map(({ digest, message }) => [digest, toJson(OpSchema, message)])),
    metadata: Object.fromEntries(
      ops.map(({ digest, vertex }) => [digest, vertex === undefined ? {} : metadataJson(vertex.metadata)]),
    ),
    source: options.source === undefined ? {} : toJson(SourceSchema, sourceMessage(ops, options.source)),
  }
}

function metadataJson(metadata: VertexMetadata): LlbMetadataJson {
  const { description, ignoreCache, progressGroup } = metadataMessage(metadata)
  return {
    ...(ignoreCache === undefined ? {} : { ignore_cache: ignoreCache }),
    description,
    ...(progressGroup === undefined ? {} : { progress_group: progressGroup }),
  }
}
