/** What lowering asks for, with one base image: the one that the recorded cases were built on. For tests. */
import type { ImageConfig } from '../../../oci/types.ts'
import { BuilderError } from '../../../base/errors.ts'
import type { LoweredImage } from '../../../image/lowered.ts'
import type { LowerEnvironment, LowerOptions } from '../../types.ts'
import { lowerDockerfile } from './lower.ts'
import { parseDockerfile } from '../read/parse.ts'

const PLATFORM = { os: 'linux', architecture: 'amd64' } as const

/** Digest of the base's manifest: it stands in identifiers, and so in the digests of vertices. */
export const BASE_DIGEST = 'sha256:51621868f89f1be248c22467fff7885ab944f507ea9d6d304a1ce95cb986cf34'

const BASE = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['sh'] },
  rootfs: { type: 'layers', diff_ids: ['sha256:365a50c8ac6bf6be237e9925a6dd6b9d4d99e82c603feab1adf41e44a014bf4e'] },
  history: [{ created: '0001-01-01T00:00:00Z' }],
} as unknown as ImageConfig

/** `bases`: configs by their canonical name; `registry.example/base:1` is always there. */
export function createTestEnvironment(
  bases: Readonly<Record<string, Partial<ImageConfig>>> = {},
  more: Partial<LowerEnvironment> = {},
): LowerEnvironment {
  return {
    resolveImageConfig: (reference) => {
      const isBase = reference === 'registry.example/base:1'
      if (!isBase && bases[reference] === undefined)
        return Promise.reject(new BuilderError('OCI_IMAGE_NOT_FOUND', `${reference}: not found`))
      return Promise.resolve({
        reference: `${reference}@${BASE_DIGEST}`,
        digest: BASE_DIGEST,
        config: { ...BASE, ...bases[reference] },
      })
    },
    ...more,
  }
}

export function createTestOptions(more: Partial<LowerOptions> = {}): LowerOptions {
  return {
    buildArgs: new Map(),
    labels: new Map(),
    buildPlatform: PLATFORM,
    targetPlatform: PLATFORM,
    namedContexts: new Map(),
    noCache: false,
    noCacheFilter: [],
    pull: false,
    networkMode: 'default',
    extraHosts: [],
    contextName: 'context',
    ...more,
  }
}

/** Lowers a text on the test base. */
export async function lowerText(
  text: string | Uint8Array,
  options: Partial<LowerOptions> = {},
  environment: LowerEnvironment = createTestEnvironment(),
): Promise<LoweredImage> {
  return lowerDockerfile(parseDockerfile(text), createTestOptions(options), environment)
}
