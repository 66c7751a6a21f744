import { BuilderError } from '../base/errors.ts'
import { isLoopback } from './host.ts'

type Environment = Readonly<Record<string, string | undefined>>

const SCHEMES = new Set(['http:', 'https:', 'socks5:'])
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * The proxy that stands before `url`; undefined: none. Variables are read as Docker, Podman and skopeo read them
 * (Go's `httpproxy`): `HTTP_PROXY` for plain HTTP and `HTTPS_PROXY` for the rest, a value without a scheme is an HTTP proxy,
 * `NO_PROXY` lists names (with what is below them), `.name` and `*.name` (only what is below), addresses, networks in CIDR
 * notation, each with a port if wished, or `*`. This machine is never asked through one.
 * @throws OCI_OPTION_INVALID for a value that is no address of a proxy; it is not quoted: it may hold a password.
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = valueOf(name, environment)
  if (value === '' || isLoopback(url.hostname) || isExcluded(url, valueOf('NO_PROXY', environment))) return undefined
  return parseProxy(name, value)
}

function valueOf(name: string, environment: Environment): string {
  return environment[name] || environment[name.toLowerCase()] || ''
}

function parseProxy(name: string, value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value.replace(/^socks5h:/i, 'socks5:') : `http://${value}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && url.hostname !== '' && SCHEMES.has(url.protocol)) return url
  throw new BuilderError('OCI_OPTION_INVALID', `${name} names no proxy that can be used`, {
    hint: `set ${name} to http://HOST:PORT; https:// and socks5:// are known, too`,
  })
}

function isExcluded(url: URL, list: string): boolean {
  const host = unbracketed(url.hostname)
  const port = url.port || DEFAULT_PORTS[url.protocol] || ''
  return list.split(',').some((entry) => matches(entry.trim().toLowerCase(), host, port))
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '') return false
  if (entry === '*') return true
  const { BlockList, isIP } = process.getBuiltinModule('node:net')
  const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  const [, network = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? []
  if (isIP(network) !== 0) {
    if (isIP(host) === 0 || Number(bits) > (isIP(network) === 4 ? 32 : 128)) return false
    const block = new BlockList()
    block.addSubnet(network, Number(bits), family(network))
    return block.check(host, family(host))
  }
  const [, name = '', wanted] = isIP(entry) === 6 ? ['', entry] : (/^(.*?)(?::(\d+))?$/.exec(entry) ?? [])
  if (wanted !== undefined && wanted !== port) return false
  const bare = unbracketed(name)
  if (isIP(bare) !== 0) {
    if (isIP(host) === 0) return false
    const block = new BlockList()
    block.addAddress(bare, family(bare))
    return block.check(host, family(host))
  }
  if (isIP(host) !== 0 || bare === '') return false
  const below = bare.replace(/^\*(?=\.)/, '')
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`)
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}
