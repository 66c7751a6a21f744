import { BuilderError } from '../base/errors.ts'
import { findSuggestion } from '../base/suggest.ts'
import { transports, type TransportName } from './list.ts'
import type { Transport } from './types.ts'

/** Kinds of places that skopeo knows and that are none here. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  ostree: 'copy to oci:DIRECTORY and import it with ostree',
  sif: 'apptainer build FILE.sif oci-archive:FILE.tar makes one',
  tarball: 'tsbuild import FILE makes an image of a tar',
  'docker-registry': 'write docker://NAME',
  atomic: 'write docker://NAME',
}

/** A place, read and not looked at. */
export interface Place {
  readonly transport: TransportName
  readonly rest: string
}

/** Reads `TRANSPORT:REST` as skopeo does. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export function parsePlace(text: string): Place {
  const at = text.indexOf(':')
  const name = at < 0 ? text : text.slice(0, at)
  const found = transports.find((one) => one.name === name)
  if (at >= 0 && found !== undefined) return { transport: found.name, rest: text.slice(at + 1) }
  const known = transports.map((one) => `${one.name}:${one.rest}`)
  const use = UNSUPPORTED[name]
  if (at >= 0 && use !== undefined)
    throw new BuilderError('OCI_OPTION_UNSUPPORTED', `transport ${name}: is not supported`, { hint: use })
  const near =
    at < 0
      ? undefined
      : findSuggestion(
          name,
          transports.map((one) => one.name),
        )
  throw new BuilderError('OCI_OPTION_INVALID', `invalid image place ${JSON.stringify(text)}: it names no transport`, {
    hint: near === undefined ? `one of ${known.join(', ')}` : `did you mean ${near}:?`,
  })
}

/** Loads what a place is of. */
export async function loadTransport({ transport }: Place): Promise<Transport> {
  return (await transports.find(({ name }) => name === transport)!.load()).transport
}
