import { join } from 'node:path/posix'
import { BuilderError } from '../../../base/errors.ts'
import type { Attributes } from '../../../exporters/attributes.ts'
import { readNames } from '../attributes.ts'
import type { SignAzure } from '../azure-blocks.ts'
import type { ObjectPlaces } from '../objects.ts'
import { signBySharedKey } from './shared-key.ts'

export interface AzureSettings extends ObjectPlaces {
  /** The container; its query is that of a shared access signature. */
  readonly container: URL
  readonly sign: SignAzure
}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws OCI_OPTION_INVALID */
export function readAzureSettings(attributes: Attributes, environment: Environment = process.env): AzureSettings {
  const value = (key: string, variable: string): string | undefined =>
    attributes.text(key) || environment[`BUILDKIT_AZURE_STORAGE_${variable}`] || undefined
  const account = accountOf(value('account_url', 'ACCOUNT_URL'))
  const name = value('account_name', 'ACCOUNT_NAME') ?? account.hostname.split('.')[0]!
  const container = value('container', 'CONTAINER') ?? 'buildkit-cache'
  const prefix = value('prefix', 'PREFIX') ?? ''
  const manifests = attributes.text('manifests_prefix') ?? 'manifests'
  const blobs = attributes.text('blobs_prefix') ?? 'blobs'
  const names = readNames(attributes)
  const key = attributes.text('secret_access_key')
  // Joined as a path is: `.` and `..` are gone then, and what is signed is what is sent.
  const keyOf = (...parts: readonly string[]): string => join(...parts)
  for (const one of [...names.map((name) => keyOf(prefix, manifests, name)), keyOf(prefix, blobs, 'x')])
    if (one.split('/').includes('..')) throw invalid(`${JSON.stringify(one)}: no part of a name may be ".."`)
  return {
    container: new URL(
      `${account.origin}${account.pathname.replace(/\/*$/, '')}/${encodeURIComponent(container)}${account.search}`,
    ),
    sign: signOf(account, name, key),
    place: `azblob://${account.host}${account.pathname.replace(/\/*$/, '')}/${container}/${prefix}`,
    names,
    manifestKey: (one) => keyOf(prefix, manifests, one),
    blobKey: (digest) => keyOf(prefix, blobs, digest),
  }
}

function accountOf(text: string | undefined): URL {
  const hint = 'type=azblob,account_url=https://NAME.blob.core.windows.net, or BUILDKIT_AZURE_STORAGE_ACCOUNT_URL'
  if (text === undefined) throw invalid('account_url is missing', hint)
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return new URL(text)
  throw invalid('account_url is no address with http:// or https://', hint)
}

function signOf(account: URL, name: string, key: string | undefined): SignAzure {
  if (key !== undefined && key !== '') return signBySharedKey(name, key)
  if (account.searchParams.has('sig')) return ({ headers }) => headers
  throw invalid(
    'secret_access_key is missing',
    'or account_url with a shared access signature (?sv=…&sig=…): identities of Azure are not read',
  )
}

function invalid(what: string, hint?: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `cache type=azblob: ${what}`, { hint })
}
