/** A registry as a network host. Immutable; which scheme it speaks is found out by the client. */
export interface RegistryHost {
  /** As references name it: `docker.io`, `localhost:5000`. Credentials and messages go by this. */
  readonly name: string
  /** Where it listens: `registry-1.docker.io`. */
  readonly address: string
  readonly isLoopback: boolean
  /** Plain HTTP, or a certificate that does not verify, is allowed. */
  readonly isInsecure: boolean
}

const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_ADDRESS = 'registry-1.docker.io'

/** The host behind a reference's domain; `insecure` holds names that the user allowed, or `*` for all registries; where one sends us is none. */
export function registryHost(domain: string, insecure: ReadonlySet<string>): RegistryHost {
  const name = domain === 'index.docker.io' || domain === DOCKER_HUB_ADDRESS ? DOCKER_HUB : domain.toLowerCase()
  const address = name === DOCKER_HUB ? DOCKER_HUB_ADDRESS : name
  const hostname = hostnameOf(address)
  const isInsecure = insecure.has('*') || insecure.has(name) || insecure.has(address) || insecure.has(hostname)
  return { name, address, isLoopback: isLoopback(hostname), isInsecure }
}

/** `localhost`, 127.0.0.0/8 and ::1: what never leaves the machine. Names that only resolve there do not count: DNS is not ours. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    hostname === '::1' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
  )
}

/**
 * Every way to write this machine that is known: for what may *not* be asked there. Wider than {@link isLoopback}, which
 * gives rights.
 */
export function meansThisMachine(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, '')
  return (
    isLoopback(name) ||
    name.endsWith('.localhost') ||
    name === '0.0.0.0' ||
    name === '[::]' ||
    /^\[::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)\]$/.test(name)
  )
}

/** `name:port` without its port. */
function hostnameOf(address: string): string {
  return address.replace(/:\d+$/, '')
}

/** A repository on a host: where blobs and manifests are asked for. */
export interface Repository {
  readonly host: RegistryHost
  /** `library/debian`. */
  readonly path: string
  /** What the user's settings say of it is in it: it is asked as it is. */
  readonly isSettled?: true
}

/** `docker.io/library/debian`, for messages. */
export function repositoryName(repository: Repository): string {
  return `${repository.host.name}/${repository.path}`
}
