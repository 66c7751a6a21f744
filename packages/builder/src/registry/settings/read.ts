import { readFileSync } from 'node:fs'
import { parse, TomlError } from 'smol-toml'
import { BuilderError } from '../../base/errors.ts'
import { readBuildkitd } from './buildkitd.ts'
import { readDaemon } from './daemon.ts'
import { matchedLength } from './match.ts'
import { invalid, isTable, type Table } from './fields.ts'
import { readMirrorWords } from './mirror-words.ts'
import { readRegistriesConf } from './registries-conf.ts'
import type { RegistryEntry, RegistryRule, RegistrySettings, SettingsFile, SettingsGroup } from './types.ts'

/** Far above what administrators write. */
const MAX_BYTES = 4 << 20

/**
 * Reads files of settings: containers-registries.conf(5) version 2, BuildKit's `buildkitd.toml`, Docker's `daemon.json`, told
 * apart by what they hold.
 * @throws OCI_OPTION_INVALID with file and place
 */
export function readSettings(files: readonly SettingsFile[], mirrors: readonly string[]): RegistrySettings {
  const words = readMirrorWords(mirrors)
  const groups = files.map(readGroup)
  const ruleOfFiles = (name: string, isDigest: boolean): RegistryRule | undefined => {
    for (const { entries } of groups) {
      const entry = longestMatch(entries, name)
      if (entry !== undefined) return ruleOf(entry, name, isDigest)
    }
    return undefined
  }
  return {
    ruleFor(name, isDigest) {
      const rule = ruleOfFiles(name, isDigest)
      const named = longestMatch(words, name)
      if (named === undefined) return rule
      // The mirrors of the command line go before what the files say, which else stays.
      const { sources, file, ...own } = ruleOf(named, name, isDigest)
      return { file, ...own, ...rule, sources: [...sources.slice(0, -1), ...(rule?.sources ?? sources.slice(-1))] }
    },
    certificatesOf: (host) => groups.flatMap(({ certificates }) => certificates.get(host) ?? [])[0],
  }
}

function readGroup({ path, dropIns, isNamed }: SettingsFile): SettingsGroup {
  const text = textOf(path, isNamed || dropIns.length === 0)
  const group = text === undefined ? { entries: [], certificates: new Map() } : groupOf(path, text)
  // What a drop-in says of a prefix replaces what was said before.
  const entries = new Map(group.entries.map((entry) => [entry.prefix, entry]))
  for (const dropIn of dropIns) {
    const added = textOf(dropIn, false)
    if (added === undefined) continue
    for (const entry of readRegistriesConf(dropIn, tomlOf(dropIn, added))) entries.set(entry.prefix, entry)
  }
  return { ...group, entries: [...entries.values()] }
}

function groupOf(path: string, text: string): SettingsGroup {
  if (/^\s*\{/.test(text)) return readDaemon(path, jsonOf(path, text))
  const table = tomlOf(path, text)
  if (isTable(table['registry'])) return readBuildkitd(path, table)
  return { entries: readRegistriesConf(path, table), certificates: new Map() }
}

function textOf(path: string, mustBeThere: boolean): string | undefined {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > MAX_BYTES) throw invalid(path, `it is larger than ${MAX_BYTES} bytes`)
    return bytes.toString('utf8')
  } catch (cause) {
    if (cause instanceof BuilderError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' && !mustBeThere) return undefined
    throw new BuilderError('OCI_OPTION_INVALID', `cannot read ${path}, which is about registries (${code})`, {
      hint: 'make it readable for this user, or name another one: --registries-conf FILE',
      cause,
    })
  }
}

function tomlOf(path: string, text: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw invalid(
      path,
      `line ${error.line}: ${error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? ''}`,
    )
  }
}

function jsonOf(path: string, text: string): Table {
  try {
    const value: unknown = JSON.parse(text)
    if (isTable(value)) return value
  } catch {
    // Said below.
  }
  throw invalid(path, 'it is no JSON object')
}

function longestMatch(entries: readonly RegistryEntry[], name: string): RegistryEntry | undefined {
  let found: RegistryEntry | undefined
  for (const entry of entries) {
    if (matchedLength(entry.prefix, name) === undefined) continue
    if (found === undefined || entry.prefix.length > found.prefix.length) found = entry
  }
  return found
}

function ruleOf(entry: RegistryEntry, name: string, isDigest: boolean): RegistryRule {
  const rest = name.slice(matchedLength(entry.prefix, name))
  const { file, isBlocked, isInsecure, location } = entry
  const own = { name: location === undefined ? name : `${location}${rest}`, isInsecure }
  const mirrors = entry.mirrors
    .filter(({ use }) => use === 'all' || (use === 'digest-only') === isDigest)
    .map((mirror) => ({ name: `${mirror.location}${rest}`, isInsecure: mirror.isInsecure }))
  return { file, isBlocked, isInsecure, sources: [...mirrors, own] }
}
