import { BuilderError } from '../../base/errors.ts'
import type { EngineWish } from '../../engine/endpoint.ts'
import type { ArchiveFile } from '../archive.ts'
import { readAttributes } from '../attributes.ts'
import { reported } from '../compose.ts'
import { prepareLayout, type LayoutAttributes } from '../oci/oci.ts'
import type { ExportContext, Exporter, ExportDefaults, OutputSpec, PreparedExport } from '../types.ts'

/** Attributes of `type=docker`: without `dest` it goes to an engine. */
export interface DockerAttributes extends LayoutAttributes {
  /** Which engine; default: Docker, and Podman where there is no Docker. */
  readonly engine?: 'docker' | 'podman' | undefined
  /** One of `docker context ls`, instead of `$DOCKER_HOST` and the current one. */
  readonly context?: string | undefined
}

/** `type=docker`: an image layout with the `manifest.json` that `docker load` reads; without `dest` a local Docker or Podman loads it. */
export const exporter: Exporter<DockerAttributes> = {
  prepare(output, defaults) {
    const { wish, rest } = takeEngine(output)
    const { dest } = output.attrs
    if (dest === undefined) return prepareLoad(rest, defaults, wish)
    if (Object.values(wish).every((value) => value === undefined))
      return prepareLayout(rest, defaults, { isDocker: true })
    throw new BuilderError('OCI_OPTION_INVALID', 'output type=docker: dest names a file, engine and context a daemon', {
      hint: 'give one of them',
    })
  },
}

/** @throws OCI_OPTION_INVALID */
function takeEngine(output: OutputSpec): { readonly wish: EngineWish; readonly rest: OutputSpec } {
  const { engine: kind, context, ...attrs } = output.attrs
  if (kind !== undefined && kind !== 'docker' && kind !== 'podman')
    throw new BuilderError('OCI_OPTION_INVALID', `output type=docker: engine=${kind}: docker or podman expected`)
  return { wish: { kind, context }, rest: { ...output, attrs } }
}

function prepareLoad(output: OutputSpec, defaults: ExportDefaults, wish: EngineWish): PreparedExport {
  const isTar = readAttributes(output.type, { tar: output.attrs['tar'] ?? 'true' }).flag('tar')
  if (isTar === false)
    throw new BuilderError('OCI_OPTION_INVALID', 'output type=docker: a directory is needed', {
      hint: 'add dest=DIRECTORY',
    })
  const prepared = prepareLayout(output, defaults, {
    isDocker: true,
    send: (files, context) => sendToEngine(files, wish, context),
  })
  return {
    ...prepared,
    // An engine that is not there is told before anything is built.
    check: async () => {
      const { findEngine } = await import('../../engine/client.ts')
      await findEngine(wish, new AbortController().signal)
    },
  }
}

async function sendToEngine(files: readonly ArchiveFile[], wish: EngineWish, context: ExportContext): Promise<void> {
  const [{ findEngine }, { loadArchive }] = await Promise.all([
    import('../../engine/client.ts'),
    import('./load-archive.ts'),
  ])
  const signal = context.signal ?? new AbortController().signal
  const engine = await findEngine(wish, signal)
  const name = engine.kind === 'podman' ? 'Podman' : 'Docker'
  await reported(context, `loading into ${name} at ${engine.endpoint.name}`, () => loadArchive(engine, files, signal))
}
