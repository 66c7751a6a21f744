import { normalizePlatform } from './platform.ts'
import type { Platform } from './types.ts'

// Which images run where. Behaviour: containerd's platforms package; image-spec, config.md ("variant").

/** True when an image of platform `offered` is the very platform `wanted`, whatever its spelling. */
export function isSamePlatform(offered: Platform, wanted: Platform): boolean {
  const left = normalizePlatform(offered)
  const right = normalizePlatform(wanted)
  return (
    left.os === right.os && left.architecture === right.architecture && (left.variant ?? '') === (right.variant ?? '')
  )
}

/** True when an image of platform `offered` runs on `wanted`: the same, or an older variant of its family. */
export function matchesPlatform(offered: Platform, wanted: Platform): boolean {
  return rankPlatform(offered, wanted) !== undefined
}

/** 0 for the very platform, larger for older variants that run on it too, undefined for what does not. */
export function rankPlatform(offered: Platform, wanted: Platform): number | undefined {
  const candidates = runnablePlatforms(normalizePlatform(wanted))
  const rank = candidates.findIndex((candidate) => isSamePlatform(offered, candidate))
  return rank < 0 ? undefined : rank
}

/** Of several images the one that fits best; undefined where none runs there. */
export function closestTo<Image extends { readonly config: Platform }>(
  wanted: Platform,
  images: readonly Image[],
): Image | undefined {
  const [best] = images
    .map((image) => ({ image, rank: rankPlatform(image.config, wanted) ?? Infinity }))
    .filter(({ rank }) => rank < Infinity)
    .toSorted((a, b) => a.rank - b.rank)
  return best?.image
}

/** What a machine of this platform runs, best first. */
function runnablePlatforms(platform: Platform): readonly Platform[] {
  const { os, architecture, variant = '' } = platform
  const of = (name: string, variants: readonly string[]): Platform[] =>
    variants.map((one) => ({ os, architecture: name, ...(one === '' ? {} : { variant: one }) }))
  switch (architecture) {
    case 'amd64':
      return [platform, ...of('amd64', olderVariants(variant, 1)), { os, architecture: '386' }]
    case 'arm':
      return [platform, ...of('arm', olderVariants(variant, 5))]
    case 'arm64':
      return [platform, ...of('arm64', olderArm64(variant)), ...of('arm', ['v8', ...olderVariants('v8', 5)])]
    default:
      return [platform]
  }
}

/** `v3` → `v2`, `v1`. */
function olderVariants(variant: string, oldest: number): string[] {
  const version = Number(/^v(\d+)$/.exec(variant)?.[1] ?? Number.NaN)
  const older: string[] = []
  // No architecture has that many: a variant is text, and may be anybody's.
  if (version > 100) return older
  for (let next = version - 1; next >= oldest; next--) older.push(`v${next}`)
  return older
}

/** Armv9.x runs what Armv8.(x+5) runs (Arm ARM, "Armv9-A architecture extension"). */
function olderArm64(variant: string): string[] {
  const match = /^v([89])(?:\.(\d))?$/.exec(variant === '' ? 'v8' : variant)
  if (match === null) return []
  const minor = Number(match[2] ?? 0)
  const lower = (major: number, from: number): string[] =>
    Array.from({ length: Math.max(0, from) }, (_, step) => from - 1 - step).map((next) =>
      next === 0 ? `v${major}` : `v${major}.${next}`,
    )
  return match[1] === '9' ? [...lower(9, minor), ...lower(8, minor + 6)] : lower(8, minor)
}
