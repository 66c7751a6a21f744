import { BuilderError } from '../base/errors.ts'
import type { BuildWarning } from '../base/progress.ts'
import { platformOption } from '../build/platform-option.ts'
import { lowerDockerfile as lowerParsed } from '../frontends/dockerfile/lower/lower.ts'
import { parseDockerfile } from '../frontends/dockerfile/read/parse.ts'
import type { NetworkMode } from '../graph/op-specs.ts'
import type { Edge, Vertex } from '../graph/types.ts'
import type { LowerEnvironment, LowerOptions } from '../frontends/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { ContainerConfig, HistoryEntry, ImageConfig, Platform } from '../oci/types.ts'
import { reachableVertices } from '../solver/demand.ts'

export interface LowerDockerfileOptions {
  /** Name of the file in errors; default `Dockerfile`. */
  readonly name?: string
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** `linux/amd64`; default: the host's, as is that of `buildPlatform`. */
  readonly platform?: string
  readonly buildPlatform?: string
  /**
   * What base images are, by canonical name (`docker.io/library/node:24`). Asked for those alone that the target reaches;
   * without it a file may only begin with `FROM scratch`.
   */
  readonly resolveImage?: (reference: string, platform: Platform) => BaseImage | Promise<BaseImage>
  /** Patterns of the context's ignore file. */
  readonly ignore?: readonly string[]
  /** Named contexts: name → `docker-image://…`, a git or http URL; anything else is a directory, which is not looked at. */
  readonly buildContexts?: Readonly<Record<string, string>>
  readonly network?: NetworkMode
  readonly noCache?: boolean
  /** Seconds of the Unix epoch. */
  readonly sourceDateEpoch?: number
}

export interface BaseImage {
  /** Of its manifest, `sha256:…`. */
  readonly digest: string
  readonly config: ImageConfig
}

/** An image in the making: what will be run, and what the image will say. */
export interface LoweredDockerfile {
  /** Its file system; undefined when it has none. */
  readonly edge: Edge | undefined
  /** Everything that it is made from, each vertex behind those that it reads. */
  readonly vertices: readonly Vertex[]
  readonly platform: Platform
  /** The image config's `config`. */
  readonly config: ContainerConfig
  /** The base's entries first; times are set when the image is made. */
  readonly history: readonly HistoryEntry[]
  /** Of the build checks. */
  readonly warnings: readonly BuildWarning[]
  /** Paths of the build context that are read, `['.']` for all of it; undefined: none. */
  readonly contextPaths: readonly string[] | undefined
}

/**
 * Lowers a Dockerfile to its build graph. Pure but for `resolveImage`: no store, no registry, no file is touched.
 * @throws BuilderError in BuildKit's words with the place in the file, as {@link build} does; OCI_IMAGE_NOT_FOUND for a base
 *   without `resolveImage`
 * @example
 * const { vertices, config } = await lowerDockerfile('FROM scratch\nCOPY app /\nCMD ["/app"]\n')
 */
export async function lowerDockerfile(
  text: string | Uint8Array,
  options: LowerDockerfileOptions = {},
): Promise<LoweredDockerfile> {
  const parsed = parseDockerfile(text, options.name === undefined ? {} : { name: options.name })
  const image = await lowerParsed(parsed, lowerOptions(options), lowerEnvironment(options))
  return toPublic(image)
}

function toPublic({ edge, platform, config, history, warnings, contextPaths }: LoweredImage): LoweredDockerfile {
  const vertices = edge === undefined ? [] : reachableVertices(edge)
  return { edge, vertices, platform, config: config.config, history, warnings, contextPaths }
}

function lowerOptions(options: LowerDockerfileOptions): LowerOptions {
  const { buildContexts = {}, buildArgs = {}, labels = {}, platform, buildPlatform } = options
  const contexts = Object.entries(buildContexts).map(([name, specifier]) => {
    const isDirectory = !/^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(specifier)
    return [name, isDirectory ? `local:${name}` : specifier] as const
  })
  return {
    target: options.target,
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map(Object.entries(labels)),
    buildPlatform: platformOr(buildPlatform, hostPlatform),
    targetPlatform: platformOr(platform, hostPlatform),
    isPlatformRequested: platform !== undefined,
    namedContexts: new Map(contexts),
    noCache: options.noCache ?? false,
    noCacheFilter: [],
    pull: false,
    networkMode: options.network ?? 'default',
    extraHosts: [],
    contextName: 'context',
    ...(options.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: options.sourceDateEpoch }),
  }
}

function platformOr(text: string | undefined, otherwise: () => Platform): Platform {
  return text === undefined ? otherwise() : platformOption(text)
}

function lowerEnvironment({ ignore, resolveImage }: LowerDockerfileOptions): LowerEnvironment {
  return {
    ...(ignore === undefined ? {} : { ignorePatterns: ignore }),
    resolveImageConfig: async (reference, platform) => {
      if (resolveImage === undefined)
        throw new BuilderError('OCI_IMAGE_NOT_FOUND', `nobody says what ${reference} is`, {
          hint: 'give resolveImage, which answers its digest and config',
        })
      const { digest, config } = await resolveImage(reference, platform)
      return { reference: `${reference}@${digest}`, digest, config }
    },
  }
}
