import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { digestHex, digestOf } from '../oci/digest.ts'

/** Where an engine answers: Docker's API, by Docker itself or by Podman. */
export interface EngineEndpoint {
  /** As a message names it: `unix:///run/docker.sock`. */
  readonly name: string
  readonly socketPath?: string
  readonly tcp?: {
    readonly hostname: string
    readonly port: number
    readonly tls?: {
      readonly ca?: Buffer | undefined
      readonly cert?: Buffer | undefined
      readonly key?: Buffer | undefined
    }
  }
}

export type EngineKind = 'docker' | 'podman'
type Environment = Readonly<Record<string, string | undefined>>

export interface EngineWish {
  /** Default: Docker's, then Podman's. */
  readonly kind?: EngineKind | undefined
  /** URL; it goes before all that the machine says. */
  readonly host?: string | undefined
  /** One of `docker context ls`. */
  readonly context?: string | undefined
}

/**
 * Where engines may be, the likeliest first: what was asked for alone, else `$DOCKER_HOST`, the context of Docker's command
 * line, the sockets of Docker and of Podman, root's and the user's (docker(1), podman-system-service(1)).
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED for a URL that is none, or of a kind that is not spoken
 */
export async function engineEndpoints(
  wish: EngineWish,
  environment: Environment = process.env,
): Promise<readonly EngineEndpoint[]> {
  if (wish.host !== undefined) return [await endpointOf(wish.host, tlsDirectory(environment))]
  const docker = wish.kind === 'podman' ? [] : await dockerEndpoints(wish.context, environment)
  // One that was named is meant, and no other.
  if (docker.length === 1 && (wish.context !== undefined || environment['DOCKER_HOST'])) return docker
  return [...docker, ...(wish.kind === 'docker' ? [] : await podmanEndpoints(environment))]
}

async function dockerEndpoints(
  wanted: string | undefined,
  environment: Environment,
): Promise<readonly EngineEndpoint[]> {
  const host = environment['DOCKER_HOST']
  if (wanted === undefined && host) return [await endpointOf(host, tlsDirectory(environment))]
  const name = wanted ?? environment['DOCKER_CONTEXT'] ?? (await currentContext(environment))
  if (name !== undefined && name !== 'default') return [await contextEndpoint(name, environment)]
  const runtime = environment['XDG_RUNTIME_DIR']
  return unixSockets([
    '/var/run/docker.sock',
    ...(runtime ? [join(runtime, 'docker.sock')] : []),
    join(homeOf(environment), '.docker/run/docker.sock'),
  ])
}

async function podmanEndpoints(environment: Environment): Promise<readonly EngineEndpoint[]> {
  const host = environment['CONTAINER_HOST']
  if (host) return [await endpointOf(host, undefined)]
  const runtime = environment['XDG_RUNTIME_DIR']
  return unixSockets([
    ...(runtime ? [join(runtime, 'podman/podman.sock')] : []),
    `/run/user/${process.getuid?.() ?? 0}/podman/podman.sock`,
    '/run/podman/podman.sock',
  ])
}

/** Those that are there. */
async function unixSockets(paths: readonly string[]): Promise<readonly EngineEndpoint[]> {
  const found: EngineEndpoint[] = []
  for (const path of new Set(paths)) {
    const status = await stat(path).catch(() => undefined)
    if (status?.isSocket() === true) found.push({ name: `unix://${path}`, socketPath: path })
  }
  return found
}

/** `unix:///PATH`, `tcp://HOST[:PORT]`, with `$DOCKER_TLS_VERIFY` or certificates of a context over TLS. */
async function endpointOf(url: string, tls: string | undefined): Promise<EngineEndpoint> {
  if (url.startsWith('unix://')) return { name: url, socketPath: url.slice('unix://'.length) }
  if (url.startsWith('/')) return { name: `unix://${url}`, socketPath: url }
  const scheme = url.slice(0, url.indexOf(':'))
  if (scheme === 'ssh' || scheme === 'npipe' || scheme === 'fd')
    throw new BuilderError('OCI_OPTION_UNSUPPORTED', `an engine behind ${scheme}:// is not supported`, {
      hint:
        scheme === 'ssh'
          ? 'tsbuild save NAME | ssh HOST docker load, or forward its socket: ssh -L /tmp/docker.sock:/var/run/docker.sock HOST'
          : 'name its socket: unix:///PATH',
    })
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['tcp:', 'http:', 'https:'].includes(parsed.protocol) || parsed.hostname === '')
    throw new BuilderError('OCI_OPTION_INVALID', `${JSON.stringify(url)} is no address of an engine`, {
      hint: 'unix:///var/run/docker.sock or tcp://HOST:PORT',
    })
  const isTls = tls !== undefined || parsed.protocol === 'https:'
  const files = isTls && tls !== undefined ? await certificatesIn(tls) : {}
  const port = Number(parsed.port || (isTls ? 2376 : 2375))
  return { name: url, tcp: { hostname: parsed.hostname, port, ...(isTls ? { tls: files } : {}) } }
}

function tlsDirectory(environment: Environment): string | undefined {
  if (!environment['DOCKER_TLS_VERIFY']) return undefined
  return environment['DOCKER_CERT_PATH'] || configDirectory(environment)
}

async function certificatesIn(directory: string): Promise<NonNullable<NonNullable<EngineEndpoint['tcp']>['tls']>> {
  const read = (name: string): Promise<Buffer | undefined> =>
    readFile(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw new BuilderError('OCI_CREDENTIALS', `cannot read ${join(directory, name)}: ${error.code}`, { cause: error })
    })
  const [ca, cert, key] = await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')])
  return { ca, cert, key }
}

function homeOf(environment: Environment): string {
  return environment['HOME'] || homedir()
}

function configDirectory(environment: Environment): string {
  return environment['DOCKER_CONFIG'] || join(homeOf(environment), '.docker')
}

/** Which context `docker context use` chose; undefined where nobody did. */
async function currentContext(environment: Environment): Promise<string | undefined> {
  const config = await readJson(join(configDirectory(environment), 'config.json'))
  const name = config?.['currentContext']
  return typeof name === 'string' && name !== '' ? name : undefined
}

async function contextEndpoint(name: string, environment: Environment): Promise<EngineEndpoint> {
  const id = digestHex(digestOf(name))
  const contexts = join(configDirectory(environment), 'contexts')
  const meta = await readJson(join(contexts, 'meta', id, 'meta.json'))
  const endpoints = meta?.['Endpoints'] as { readonly docker?: { readonly Host?: unknown } } | undefined
  const host = endpoints?.docker?.Host
  if (typeof host !== 'string')
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      `context ${JSON.stringify(name)} of Docker's command line is not there`,
      {
        hint: 'docker context ls lists them; DOCKER_HOST names an engine without one',
      },
    )
  const tls = join(contexts, 'tls', id, 'docker')
  const hasTls = (await stat(tls).catch(() => undefined))?.isDirectory() === true
  return endpointOf(host, hasTls ? tls : undefined)
}

async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
