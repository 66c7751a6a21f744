import { BuilderError } from '../base/errors.ts'
import { compose } from '../build/composition.ts'
import { checkOptions } from '../build/options.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { LlbJson, LlbOptions } from '../graph/llb.ts'

/** The build graph in BuildKit's format. */
export interface BuildDefinition {
  /** Digest → op, metadata and places, as BuildKit's `frontend.convertllb` answers. */
  readonly json: LlbJson
  /** A `pb.Definition`, as `buildctl build` reads it. */
  readonly binary: Uint8Array
}

/**
 * The graph of a build, which is not run. Bases are looked up in the store or their registry for their config alone; a
 * context that lies elsewhere is fetched for its Dockerfile.
 * @throws the errors of {@link build} for input that cannot be read or lowered.
 */
export async function toLlb(options: BuildOptions): Promise<BuildDefinition> {
  // The wire format's code is large: nobody else loads it.
  const { createDefinition, definitionToBinary, definitionToJson, marshalGraph } = await import('../graph/llb.ts')
  const checked = checkOptions(options)
  if (checked.platforms.length > 1)
    throw new BuilderError('OCI_OPTION_UNSUPPORTED', 'a definition is of one platform', {
      hint: 'ask for one platform at a time',
    })
  const sink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  await using composition = await compose({ session, options, checked, sink, purpose: 'answer' })
  const [image] = await composition.lower()
  const file = (await composition.sources())?.dockerfile
  const llbOptions: LlbOptions = {
    platform: checked.platforms[0]!,
    ...(file && { source: { filename: file.name, data: Buffer.from(file.text) } }),
  }
  const ops = marshalGraph(image!.edge, llbOptions)
  return { json: definitionToJson(ops, llbOptions), binary: definitionToBinary(createDefinition(ops, llbOptions)) }
}
