/**
 * Lines of /etc/hosts: loopback under the step's own name too, then what the caller adds.
 * @param machine what the address `host-gateway` stands for
 */
export function hostsFile(
  hostname: string,
  extra: readonly (readonly [string, string])[],
  machine = '127.0.0.1',
): string {
  const lines = [
    `127.0.0.1\tlocalhost ${hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extra.map(([address, name]) => `${address === 'host-gateway' ? machine : address}\t${name}`),
  ]
  return `${lines.join('\n')}\n`
}
