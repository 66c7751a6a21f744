import { fromBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import { digestOf } from '../oci/digest.ts'
import type { OpSpec } from './op-specs.ts'
import { createDefinition, definitionToBinary, definitionToJson, marshalGraph } from './llb.ts'
import { DefinitionSchema } from './proto/llb_pb.ts'
import type { Edge } from './types.ts'
import { createVertex } from './vertex.ts'

const PLATFORM = { os: 'linux', architecture: 'amd64' }

function edge(op: OpSpec, inputs: readonly Edge[] = [], name = 'x'): Edge {
  return { vertex: createVertex(op, inputs, { platform: PLATFORM, metadata: { name } }), output: 0 }
}

const image = edge({
  kind: 'source',
  identifier:
    'docker-image://registry.example/base:1@sha256:51621868f89f1be248c22467fff7885ab944f507ea9d6d304a1ce95cb986cf34',
  attrs: { 'image.resolvemode': 'local' },
})

const script = edge({
  kind: 'file',
  actions: [
    {
      input: -1,
      secondaryInput: -1,
      output: 0,
      action: { kind: 'mkfile', path: '/EOT', mode: 0o755, data: Buffer.from('#!/bin/sh\necho hi\n'), timestamp: -1 },
    },
  ],
})

const step = edge(
  {
    kind: 'exec',
    meta: {
      args: ['/bin/sh', '-c', 'true'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=1'],
      cwd: '/',
      user: '',
      hostname: '',
      extraHosts: [],
    },
    mounts: [{ input: 0, selector: '', dest: '/', output: 0, readonly: false, type: 'bind' }],
    network: 'default',
    security: 'sandbox',
    secretEnv: [],
  },
  [image],
)

describe('digests', () => {
  // Recorded from the provenance that BuildKit (of Docker 28.5) attests for the same vertices.
  test('of an image and a step are those of BuildKit', () => {
    expect(marshalGraph(step).map((op) => op.digest)).toEqual([
      'sha256:ddd998857452857c3426ab63efc03f500361cd924e9e9f87d16594b8e36dc421',
      'sha256:1374995ae8cdf54d88982b869f8adfedf13e421bfdbbd7d4b1ac0c4b3f8ed0c2',
      'sha256:55d99a80987152d51b1277c9686adac10ad775f11dc3ce7cfd258e0f4e25d686',
    ])
  })

  test('of a file are those of BuildKit, which writes the kind of op last', () => {
    const [op] = marshalGraph(script)
    expect(op?.digest).toBe('sha256:d8479fefce8753b6ba54746fa034c941f93c05f5d735446d433736958ec3167f')
    expect(
      Buffer.from(op?.bytes ?? [])
        .subarray(0, 3)
        .toString('hex'),
    ).toBe('5a0022')
  })

  test('do not depend on the order of attributes', () => {
    const source = (attrs: Record<string, string>): string =>
      marshalGraph(edge({ kind: 'source', identifier: 'local://a', attrs }))[0]!.digest
    expect(source({ b: '1', a: '2' })).toBe(source({ a: '2', b: '1' }))
  })
})

describe('a graph', () => {
  test('has equal vertices once and inputs before those who use them', () => {
    const merged = edge({ kind: 'merge' }, [step, script, edge(step.vertex.op, [image], 'the same')])
    const ops = marshalGraph(merged)
    expect(ops.map((op) => op.vertex?.op.kind)).toEqual(['source', 'exec', 'file', 'merge', undefined])
    expect(ops[3]?.message.inputs.map((input) => input.digest)).toEqual([
      ops[1]?.digest,
      ops[2]?.digest,
      ops[1]?.digest,
    ])
  })

  test('of an empty image is empty', () => {
    expect(marshalGraph(undefined)).toEqual([])
  })

  test('may be deeper than the stack', () => {
    let last = image
    for (let index = 0; index < 20_000; index++)
      last = edge(
        {
          kind: 'file',
          actions: [
            {
              input: 0,
              secondaryInput: -1,
              output: 0,
              action: { kind: 'rm', path: `/${index}`, allowNotFound: false, allowWildcard: false },
            },
          ],
        },
        [last],
      )
    expect(marshalGraph(last).length).toBe(20_002)
  })
})

describe('a definition', () => {
  const source = { filename: 'Dockerfile', data: Buffer.from('FROM x\n') }
  const named: Edge = {
    vertex: createVertex(image.vertex.op, [], {
      platform: PLATFORM,
      metadata: {
        name: '[1/1] FROM x',
        command: 'FROM x',
        ignoreCache: true,
        location: { file: 'Dockerfile', startLine: 1, startColumn: 1, endLine: 1, endColumn: 7 },
      },
    }),
    output: 0,
  }

  test('survives its binary form, with names and places', () => {
    const ops = marshalGraph(named)
    const read = fromBinary(DefinitionSchema, definitionToBinary(createDefinition(ops, { source })))
    expect(read.def.map((bytes) => digestOf(bytes))).toEqual(ops.map((op) => op.digest))
    expect(read.metadata[ops[0]!.digest]).toMatchObject({
      ignoreCache: true,
      description: { 'llb.customname': '[1/1] FROM x', 'com.docker.dockerfile.v1.command': 'FROM x' },
    })
    expect(read.Source?.infos[0]?.filename).toBe('Dockerfile')
    expect(read.Source?.locations[ops[0]!.digest]?.locations[0]?.ranges[0]?.start?.line).toBe(1)
  })

  test('as JSON maps digests to ops', () => {
    const ops = marshalGraph(step)
    const { def } = definitionToJson(ops)
    expect(Object.keys(def)).toEqual(ops.map((op) => op.digest))
    expect(def[ops[1]!.digest]).toEqual({
      inputs: [{ digest: ops[0]!.digest }],
      exec: {
        meta: {
          args: ['/bin/sh', '-c', 'true'],
          env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=1'],
          cwd: '/',
          removeMountStubsRecursive: true,
        },
        mounts: [{ dest: '/' }],
      },
      platform: { Architecture: 'amd64', OS: 'linux' },
      constraints: {},
    })
  })
})
