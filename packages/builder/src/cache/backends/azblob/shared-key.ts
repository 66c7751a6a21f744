/** Azure Storage's Shared Key ("Authorize with Shared Key", versions from 2015-02-21 on). */
import { createHmac } from 'node:crypto'
import { compareBytes } from '../../../base/text.ts'
import type { SignAzure } from '../azure-blocks.ts'

/** Of these headers the values are signed, in this order; the date is an `x-ms-` header. */
const STANDARD = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
]

/** @param key base64, as the portal shows it */
export function signBySharedKey(account: string, key: string, now: () => number = Date.now): SignAzure {
  const secret = Buffer.from(key, 'base64')
  return ({ method, url, headers: given }) => {
    const headers: Record<string, string> = { ...given, 'x-ms-date': new Date(now()).toUTCString() }
    const text = stringToSign(account, method, url, headers)
    const signature = createHmac('sha256', secret).update(text, 'utf8').digest('base64')
    return { ...headers, authorization: `SharedKey ${account}:${signature}` }
  }
}

export function stringToSign(
  account: string,
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  const standard = STANDARD.map((name) =>
    name === 'content-length' && headers[name] === '0' ? '' : (headers[name] ?? ''),
  )
  const own = Object.keys(headers).filter((name) => name.startsWith('x-ms-'))
  const ownLines = own.toSorted(compareBytes).map((name) => `${name}:${headers[name]!.trim()}`)
  const parameters = [...url.searchParams].map(([name, value]) => [name.toLowerCase(), value] as const)
  const queryLines = parameters.toSorted(([a], [b]) => compareBytes(a, b)).map(([name, value]) => `${name}:${value}`)
  return [method, ...standard, ...ownLines, `/${account}${url.pathname}`, ...queryLines].join('\n')
}
