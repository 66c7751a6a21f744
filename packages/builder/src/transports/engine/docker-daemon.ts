import { loadArchive } from '../../exporters/docker/load-archive.ts'
import { findEngine, saveFrom, type Engine } from '../../engine/client.ts'
import { canonicalName, formatFamiliar, parseReference } from '../../oci/reference.ts'
import { archiveImages } from '../archive/docker-archive.ts'
import { spool } from '../archive/open.ts'
import { layoutFiles, writtenImage } from '../layout/layout-files.ts'
import type { Bundle, PlaceOptions, Transport, TransportContext, WrittenImage } from '../types.ts'

/** `docker-daemon:NAME[:TAG]`: the images of a Docker, or of a Podman that answers in its place. */
export const transport: Transport = {
  async open(rest, options, context) {
    const name = formatFamiliar(parseReference(canonicalName(rest)))
    const engine = await engineFor(options, context)
    // By its id where that is what was written.
    const wanted = /^(?:sha256:)?[0-9a-f]{12,64}$/.test(rest) ? rest : name
    const tar = await saveFrom(engine, wanted, context.signal)
    const files = await spool(tar, `docker-daemon:${rest}`, context)
    const images = await archiveImages(files, context)
    return { images: images.slice(0, 1), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() }
  },
  async target(rest, options, context) {
    const name = canonicalName(rest)
    const engine = await engineFor(options, context)
    return {
      takesIndex: false,
      wantsCompressed: false,
      write: async (bundles) => loadInto(engine, [{ ...bundles[0]!, names: [name] }], context),
    }
  },
}

function engineFor({ daemonHost }: PlaceOptions, { signal }: TransportContext): Promise<Engine> {
  return findEngine({ host: daemonHost }, signal)
}

/** Sends images to an engine as one archive. */
export async function loadInto(
  engine: Engine,
  bundles: readonly Bundle[],
  context: TransportContext,
): Promise<readonly WrittenImage[]> {
  const files = await layoutFiles(bundles, { isDocker: true })
  await loadArchive(engine, files, context.signal)
  return bundles.map(writtenImage)
}
