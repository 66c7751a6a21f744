import { locationOf, locationOfUrl } from './fields.ts'
import type { Mirror, RegistryEntry } from './types.ts'

/**
 * Mirrors as the command line has them: `HOST[/PATH]` for Docker Hub, `REGISTRY=HOST[/PATH]` for another, several of one
 * in their order; `REGISTRY=A;REGISTRY=B` in one word, as kaniko has it.
 * @throws OCI_OPTION_INVALID
 */
export function readMirrorWords(words: readonly string[]): readonly RegistryEntry[] {
  const file = '--registry-mirror'
  const mirrors = new Map<string, Mirror[]>()
  for (const word of words.flatMap((one) => one.split(';')).filter((one) => one !== '')) {
    const [, registry, target = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(word) ?? []
    const { location, isPlain } = locationOfUrl(file, target)
    const asked = registry === undefined ? 'docker.io' : locationOf(file, registry)
    const prefix = asked === 'index.docker.io' || asked === 'registry-1.docker.io' ? 'docker.io' : asked
    mirrors.set(prefix, [...(mirrors.get(prefix) ?? []), { location, isInsecure: isPlain, use: 'all' }])
  }
  return [...mirrors].map(([prefix, ofOne]) => {
    return { prefix, location: undefined, isInsecure: false, isBlocked: false, mirrors: ofOne, file }
  })
}
