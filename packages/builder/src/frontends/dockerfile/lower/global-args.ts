/** Variables that FROM sees: platforms and the ARGs above it. */
import { formatPlatform, formatPlatformFully } from '../../../oci/platform.ts'
import type { ExecMeta } from '../../../graph/op-specs.ts'
import type { ArgInstruction } from '../read/ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { expandWord } from '../expand/expand.ts'
import { createTextBudget } from '../expand/text-budget.ts'
import type { LowerOptions } from '../../types.ts'
import { lowerCase } from '../../../base/text.ts'
import { withLocation } from './locate.ts'
import type { OutlineArgument } from './outline.ts'

/** `targetName`: the stage that is built, empty for an unnamed last one. */
export function predefinedArgs(options: LowerOptions, targetName: string): Map<string, string> {
  const { buildPlatform, targetPlatform, buildArgs } = options
  const values = new Map([
    ['BUILDPLATFORM', formatPlatform(buildPlatform)],
    ['BUILDOS', buildPlatform.os],
    ['BUILDOSVERSION', buildPlatform['os.version'] ?? ''],
    ['BUILDARCH', buildPlatform.architecture],
    ['BUILDVARIANT', buildPlatform.variant ?? ''],
    ['TARGETPLATFORM', formatPlatformFully(targetPlatform)],
    ['TARGETOS', targetPlatform.os],
    ['TARGETOSVERSION', targetPlatform['os.version'] ?? ''],
    ['TARGETARCH', targetPlatform.architecture],
    ['TARGETVARIANT', targetPlatform.variant ?? ''],
    ['TARGETSTAGE', targetName || 'default'],
  ])
  for (const name of values.keys()) if (buildArgs.has(name)) values.set(name, buildArgs.get(name)!)
  return values
}

export interface GlobalArgs {
  readonly values: Map<string, string>
  readonly outline: Map<string, OutlineArgument>
}

/**
 * The values behind the ARGs above the first FROM; an ARG sees those before it.
 * @throws BuilderError when a default cannot be expanded.
 */
export function declareGlobalArgs(
  predefined: ReadonlyMap<string, string>,
  instructions: readonly ArgInstruction[],
  buildArgs: ReadonlyMap<string, string>,
  escape: EscapeToken,
): GlobalArgs {
  const values = new Map(predefined)
  const outline = new Map<string, OutlineArgument>()
  const budget = createTextBudget()
  for (const { definitions, location } of instructions) {
    for (const definition of definitions) {
      const { key, value: written } = definition
      const given = buildArgs.get(key)
      const expansion =
        given !== undefined || written === undefined
          ? undefined
          : withLocation(location, () => expandWord(written, values, { escape }))
      const value = given ?? expansion?.text
      withLocation(location, () => budget.spend(expansion?.text.length ?? 0))
      const dependencies = new Set(expansion?.matched)
      // A default that names its own argument inherits what the earlier one depended on.
      if (dependencies.delete(key)) for (const name of outline.get(key)?.dependencies ?? []) dependencies.add(name)
      if (value !== undefined) {
        values.delete(key)
        values.set(key, value)
      }
      outline.set(key, { definition: { ...definition, value }, value: value ?? '', dependencies, location })
    }
  }
  return { values, outline }
}

export const PROXIES = {
  http_proxy: 'httpProxy',
  https_proxy: 'httpsProxy',
  ftp_proxy: 'ftpProxy',
  no_proxy: 'noProxy',
  all_proxy: 'allProxy',
} as const

/** Proxies among the build arguments: steps see them without an ARG, keys and history do not. */
export function proxiesOf(buildArgs: ReadonlyMap<string, string>): ExecMeta['proxyEnv'] {
  const proxies = { httpProxy: '', httpsProxy: '', ftpProxy: '', noProxy: '', allProxy: '' }
  let isSet = false
  for (const name of [...buildArgs.keys()].sort()) {
    const lower = lowerCase(name)
    if (!Object.hasOwn(PROXIES, lower)) continue
    proxies[PROXIES[lower as keyof typeof PROXIES]] = buildArgs.get(name)!
    isSet = true
  }
  return isSet ? proxies : undefined
}
