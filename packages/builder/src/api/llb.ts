import { createContexts } from '../build/contexts.ts'
import { createDocument } from '../frontends/state/document.ts'
import { lowerDockerfileBuild, lowerStateBuild, pullPolicy } from '../build/plan.ts'
import { checkOptions } from '../build/options.ts'
import { findSources } from '../build/sources.ts'
import type { LlbJson, LlbOptions } from '../graph/llb.ts'
import { createImageResolver } from '../ops/image/resolve.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { openSession } from '../build/session.ts'
import { checkImageWith, fetchImageWith } from '../build/transfers.ts'

/** The build graph in BuildKit's format. */
export interface BuildDefinition {
  /** Digest → op, metadata and places, as BuildKit's `frontend.convertllb` answers. */
  readonly json: LlbJson
  /** A `pb.Definition`, as `buildctl build` reads it. */
  readonly binary: Uint8Array
}

/**
 * The graph of a build, which is not run. Bases are looked up in the store or their registry for their config alone.
 * @throws the errors of {@link build} for input that cannot be read or lowered.
 */
export async function toLlb(options: BuildOptions): Promise<BuildDefinition> {
  // The wire format's code is large: nobody else loads it.
  const { createDefinition, definitionToBinary, definitionToJson, marshalGraph } = await import('../graph/llb.ts')
  const checked = checkOptions(options)
  const sink = options.onProgress ?? (() => undefined)
  await using session = await openSession(options)
  const images = createImageResolver({
    store: session.store,
    fetchImage: fetchImageWith(session),
    checkImage: checkImageWith(session),
    pull: pullPolicy(options.pull),
  })
  const sources = options.state === undefined ? await findSources(options) : undefined
  const contexts = createContexts(session.store, session.contexts, session.signal)
  if (sources !== undefined) contexts.use(sources)
  try {
    const image =
      sources === undefined
        ? await lowerStateBuild(options, checked, createDocument(options.state!), images, contexts, sink)
        : await lowerDockerfileBuild(options, checked, sources, images, sink)
    const llbOptions: LlbOptions = {
      platform: checked.platform,
      ...(sources && { source: { filename: sources.dockerfile.name, data: Buffer.from(sources.dockerfile.text) } }),
    }
    const ops = marshalGraph(image.edge, llbOptions)
    return { json: definitionToJson(ops, llbOptions), binary: definitionToBinary(createDefinition(ops, llbOptions)) }
  } finally {
    contexts.close()
  }
}
