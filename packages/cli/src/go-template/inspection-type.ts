import { imageConfigType } from './image-config-type.ts'
import {
  anyType,
  type BasicType,
  int64Type,
  intType,
  mapType,
  pointerType,
  sliceType,
  stringType,
  structType,
} from './types.ts'

const texts = sliceType(stringType)

const duration: BasicType = { kind: 'int64', name: 'time.Duration', show: durationText }

const time: BasicType = { kind: 'string', name: 'time.Time', show: timeText }

const healthcheck = structType('v1.HealthcheckConfig', {
  Test: texts,
  Interval: duration,
  Timeout: duration,
  StartPeriod: duration,
  StartInterval: duration,
  Retries: intType,
})

const config = structType('v1.DockerOCIImageConfig', {
  ImageConfig: {
    isEmbedded: true,
    type: imageConfigType,
  },
  DockerOCIImageConfigExt: {
    isEmbedded: true,
    type: structType('v1.DockerOCIImageConfigExt', {
      Healthcheck: pointerType(healthcheck),
      OnBuild: texts,
      Shell: texts,
    }),
  },
})

const descriptor = structType('v1.Descriptor', {
  MediaType: { type: stringType, member: 'mediaType' },
  Digest: { type: { kind: 'string', name: 'digest.Digest' } as BasicType, member: 'digest' },
  Size: { type: int64Type, member: 'size' },
  Annotations: { type: mapType(stringType), member: 'annotations' },
  Platform: { type: anyType, member: 'platform' },
})

/** What `docker inspect` calls the parts of an image, and ours behind them. */
export const inspectionType = structType('image.InspectResponse', {
  ID: { type: stringType, member: 'Id' },
  RepoTags: texts,
  RepoDigests: texts,
  Parent: stringType,
  Comment: stringType,
  Created: stringType,
  DockerVersion: stringType,
  Author: stringType,
  Config: pointerType(config),
  Architecture: stringType,
  Variant: stringType,
  Os: stringType,
  OsVersion: stringType,
  Size: int64Type,
  RootFS: structType('image.RootFS', { Type: stringType, Layers: texts }),
  Metadata: structType('image.Metadata', { LastTagTime: time }),
  Descriptor: pointerType(descriptor),
  Manifests: sliceType(anyType),
  Layers: sliceType(anyType),
})

const smallUnits = [
  { below: 1000n, scale: 1, unit: 'ns' },
  { below: 1_000_000n, scale: 1e3, unit: 'µs' },
  { below: 1_000_000_000n, scale: 1e6, unit: 'ms' },
]

/** As Go prints a duration: `1m30s`, `1.5ms`, `0s`. */
function durationText(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s'
  const sign = nanoseconds < 0n ? '-' : ''
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds
  const small = smallUnits.find(({ below }) => size < below)
  if (small !== undefined) return `${sign}${Number(size) / small.scale}${small.unit}`
  const minutes = size / 60_000_000_000n
  const seconds = `${Number(size % 60_000_000_000n) / 1e9}s`
  if (minutes === 0n) return sign + seconds
  return minutes < 60n ? `${sign}${minutes}m${seconds}` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

/** As Go prints a time: `2024-01-02 03:04:05.6 +0000 UTC`. */
function timeText(bytes: string): string {
  const found = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+?)0*)?Z$/.exec(bytes)
  if (found === null) return bytes
  const [, date, clock, fraction] = found
  return `${date} ${clock}${fraction === undefined || fraction === '' || /^0*$/.test(fraction) ? '' : `.${fraction}`} +0000 UTC`
}
