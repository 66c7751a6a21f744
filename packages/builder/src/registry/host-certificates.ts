import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ResolvedOptions } from './options.ts'
import type { HostCertificates, RegistrySettings } from './settings/types.ts'

/**
 * The certificates that somebody keeps for a host: in the folder that was named, for a registry itself; in the first folder
 * of that host which is there (containers-certs.d(5), Docker's `certs.d`); else in a file of settings. Undefined where
 * nobody does, after a look for each folder.
 * @param isRegistry the host is the registry that is spoken to, and not one to which it redirects
 * @throws OCI_OPTION_INVALID
 */
export async function findCertificates(
  url: URL,
  isRegistry: boolean,
  options: ResolvedOptions,
  settings: () => Promise<RegistrySettings | undefined>,
): Promise<HostCertificates | undefined> {
  const own = options.certificates.filter((text) => isFor(text, url))
  if (own.length > 0) {
    const { readCertificates, certificatesOfWords } = await import('./settings/certificates.ts')
    return readCertificates(certificatesOfWords(own))
  }
  const folder = isRegistry && options.certDir !== undefined ? options.certDir : folderOf(url, options)
  const named = folder === undefined ? (await settings())?.certificatesOf(url.host) : undefined
  if (folder === undefined && named === undefined) return undefined
  const { readCertificates, certificatesIn } = await import('./settings/certificates.ts')
  return readCertificates(folder === undefined ? named! : certificatesIn(folder))
}

/** A host without a port is meant with each of its ports. */
function isFor(text: string, url: URL): boolean {
  const host = text.slice(0, text.indexOf('=')).toLowerCase()
  const name = host === 'docker.io' || host === 'index.docker.io' ? 'registry-1.docker.io' : host
  return name === url.host || name === url.hostname
}

function folderOf(url: URL, { environment }: ResolvedOptions): string | undefined {
  const home = environment['HOME'] || '/nonexistent'
  const config = environment['XDG_CONFIG_HOME'] || join(home, '.config')
  const roots = [
    join(config, 'containers/certs.d'),
    join(config, 'docker/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
  ]
  // Docker Hub is known by the name that references have.
  const names = url.host === 'registry-1.docker.io' ? [url.host, 'docker.io'] : [url.host]
  return roots.flatMap((root) => names.map((name) => join(root, name))).find((path) => existsSync(path))
}
