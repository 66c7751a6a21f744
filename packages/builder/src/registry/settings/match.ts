/**
 * How much of `name` (`host/path`) a prefix covers; undefined: it does not fit. A prefix is a host, a path on it, or
 * `*.example.com` for all hosts below that (containers-registries.conf(5)).
 */
export function matchedLength(prefix: string, name: string): number | undefined {
  if (prefix.startsWith('*.')) {
    const [host = ''] = name.split('/', 1)
    const bare = host.replace(/:\d+$/, '')
    return bare.endsWith(prefix.slice(1)) && bare.length >= prefix.length ? bare.length : undefined
  }
  if (name === prefix) return prefix.length
  return name.startsWith(`${prefix}/`) ? prefix.length : undefined
}
