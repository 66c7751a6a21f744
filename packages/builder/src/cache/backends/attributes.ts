import { BuilderError } from '../../base/errors.ts'
import type { Attributes } from '../../exporters/attributes.ts'
import type { LayerWish, PreparedCacheExport } from './types.ts'

const LEVELS = { gzip: [0, 9], zstd: [1, 22], uncompressed: [0, 22] } as const

/** What every export may say. */
export function readExportAttributes(
  attributes: Attributes,
  type: string,
): Pick<PreparedCacheExport, 'mode' | 'ignoresErrors' | 'compression'> {
  const mode = attributes.text('mode') ?? 'min'
  if (mode !== 'min' && mode !== 'max') throw wrong(type, 'mode', mode, 'min or max')
  const compression = attributes.text('compression') ?? 'gzip'
  if (compression !== 'gzip' && compression !== 'zstd' && compression !== 'uncompressed')
    throw wrong(type, 'compression', compression, 'gzip, zstd or uncompressed')
  const [least, most] = LEVELS[compression]
  const level = attributes.integer('compression-level', least, most)
  const force = attributes.flag('force-compression') ?? false
  const wish: LayerWish = { compression, force, ...(level === undefined ? {} : { level }) }
  return { mode, ignoresErrors: attributes.flag('ignore-error') ?? false, compression: wish }
}

/** How a manifest of a cache is written. */
export interface ManifestForm {
  /** The manifest of an image, as registries want it; else an index, as BuildKit before 0.21 wrote it. */
  readonly isImage: boolean
  readonly isOci: boolean
}

export function readManifestForm(attributes: Attributes): ManifestForm {
  const isOci = attributes.flag('oci-mediatypes') ?? true
  const isImage = attributes.flag('image-manifest') ?? isOci
  if (isImage && !isOci)
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      'invalid configuration for remote cache: OCI mediatypes are required for image-manifest cache format',
      { hint: 'leave oci-mediatypes=false out, or say image-manifest=false too' },
    )
  return { isImage, isOci }
}

export function required(attributes: Attributes, type: string, key: string): string {
  const value = attributes.text(key)
  if (value !== undefined && value !== '') return value
  throw new BuilderError('OCI_OPTION_INVALID', `cache type=${type}: ${key} is missing`, {
    hint: `type=${type},${key}=…`,
  })
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** A duration as Go writes it (`1h30m`, `500ms`), in milliseconds. */
export function readDuration(attributes: Attributes, type: string, key: string, defaultMs: number): number {
  const text = attributes.text(key)
  if (text === undefined || text === '') return defaultMs
  if (text === '0') return 0
  if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text))
    throw wrong(type, key, text, 'a duration like 1h30m or 90s')
  return [...text.matchAll(/([\d.]+)([^\d.]+)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit!]!, 0)
}

/** The names of a cache: `a;b`. */
export function readNames(attributes: Attributes): readonly string[] {
  const names = (attributes.text('name') ?? '').split(';').filter((name) => name !== '')
  return names.length === 0 ? ['buildkit'] : names
}

function wrong(type: string, key: string, value: string, wanted: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `cache type=${type}: ${key}=${value}: ${wanted} expected`)
}
