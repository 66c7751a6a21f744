import { existsSync, readFileSync, statSync } from 'node:fs'

/** Where this process runs, as far as the way to more rights depends on it. */
export interface Place {
  readonly engine: 'kubernetes' | 'podman' | 'docker' | 'container' | 'host'
  readonly ci: 'gitlab' | 'github' | undefined
}

/** What a place is known by: files and the environment. */
export interface Traces {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
  has(path: string): boolean
  /** The text of a file; empty where it cannot be read. */
  read(path: string): string
}

const here: Traces = {
  env: process.env,
  uid: process.getuid?.() ?? 0,
  has: existsSync,
  read: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return ''
    }
  },
}

/** Docker makes /.dockerenv, Podman /run/.containerenv; others are known by their cgroup or by `container=`. */
export function detectPlace({ env, has, read }: Traces = here): Place {
  const ci = env['GITLAB_CI'] ? 'gitlab' : env['GITHUB_ACTIONS'] ? 'github' : undefined
  const cgroup = read('/proc/1/cgroup')
  if (env['KUBERNETES_SERVICE_HOST'] || cgroup.includes('kubepods')) return { engine: 'kubernetes', ci }
  if (has('/run/.containerenv') || env['container'] === 'podman' || cgroup.includes('libpod'))
    return { engine: 'podman', ci }
  if (has('/.dockerenv') || cgroup.includes('/docker')) return { engine: 'docker', ci }
  return { engine: env['container'] ? 'container' : 'host', ci }
}

/**
 * The one line that gives steps namespaces in this place, in its words; on a host there is none: undefined.
 * `npm run environments` tries those of Docker and Podman.
 */
export function namespaceRemedy(traces: Traces = here): string | undefined {
  const { engine, ci } = detectPlace(traces)
  const docker = '--security-opt seccomp=unconfined --security-opt apparmor=unconfined'
  if (engine === 'kubernetes')
    return "in the container's securityContext: {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}}"
  if (engine === 'podman') return 'podman run --privileged'
  if (engine === 'host') return undefined
  if (ci === 'gitlab')
    return 'in the config.toml of the runner, [runners.docker]: security_opt = ["seccomp=unconfined", "apparmor=unconfined"]'
  if (ci === 'github') return `in the workflow, container: {options: ${docker}}`
  return engine === 'docker' ? `docker run ${docker}` : `start the container without a seccomp filter: ${docker}`
}

/** Bits of capability(7). */
const CHOWN = 0n
const SETGID = 6n
const SETUID = 7n
const SYS_CHROOT = 18n
const MKNOD = 27n

/** Whether root here has, or would have, the capabilities with which it runs steps: not after `--cap-drop ALL`. */
export function isRootWhole(traces: Traces = here): boolean {
  return givesIds(traces) && isBounded(traces, [SYS_CHROOT])
}

/** Whether root here has, or would have, the capabilities with which it gives other ids than its own to steps. */
export function givesIds(traces: Traces = here): boolean {
  return isBounded(traces, [CHOWN, SETGID, SETUID])
}

/** Whether root here has, or would have, CAP_MKNOD: not in a container of Podman, by itself. */
export function makesDevices(traces: Traces = here): boolean {
  return isBounded(traces, [MKNOD])
}

function isBounded({ read }: Traces, capabilities: readonly bigint[]): boolean {
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1]
  if (mask === undefined) return true
  const bounding = BigInt(`0x${mask}`)
  return capabilities.every((bit) => (bounding & (1n << bit)) !== 0n)
}

/** USER_NS_INIT_INO of the kernel's linux/nsfs.h: the first user namespace has it since Linux 3.8. */
const INITIAL_USER_NAMESPACE = 0xef_ff_ff_fd

/** Whether root here is root of a user namespace alone, who makes no devices. */
export function isInUserNamespace(): boolean {
  const file = statSync('/proc/self/ns/user', { throwIfNoEntry: false })
  return file !== undefined && file.ino !== INITIAL_USER_NAMESPACE
}

/** Whether this process has a user namespace with one id, as `unshare -r` makes it: its root is some user outside. */
export function hasOneId({ read }: Traces = here): boolean {
  return /^\s*\d+\s+\d+\s+1\s*$/.test(read('/proc/self/uid_map'))
}

/** The one line that gives a container's root the capabilities back that were taken from it. */
export function wholeRootRemedy(traces: Traces = here): string {
  const { engine } = detectPlace(traces)
  return engine === 'kubernetes'
    ? "in the container's securityContext: no capabilities.drop"
    : 'start the container without --cap-drop'
}

/** The one line that lets a container's root make devices. */
export function devicesRemedy(traces: Traces = here): string {
  const { engine } = detectPlace(traces)
  return engine === 'podman' ? 'use --isolation=rootless, or podman run --cap-add MKNOD' : wholeRootRemedy(traces)
}

/** A line of this place for a root that is whole, as one for a root whose capabilities were dropped. */
function withoutDrop(line: string, traces: Traces): string {
  const { engine, ci } = detectPlace(traces)
  if (engine === 'kubernetes') return `${line}, and no capabilities.drop`
  return ci === 'gitlab' ? `${line}, and no cap_drop` : `${line}, without --cap-drop`
}

/** The one line that gives root the host's namespaces and all ids. */
export function administrationRemedy(traces: Traces = here): string {
  const { engine, ci } = detectPlace(traces)
  const docker = '--cap-add SYS_ADMIN --security-opt apparmor=unconfined'
  if (engine === 'kubernetes') return "in the container's securityContext: {privileged: true}"
  if (engine === 'podman') return 'podman run --cap-add SYS_ADMIN'
  if (engine === 'host') return 'root lacks CAP_SYS_ADMIN here: use --isolation=rootless'
  if (ci === 'gitlab') return 'in the config.toml of the runner, [runners.docker]: privileged = true'
  return ci === 'github' ? `in the workflow, container: {options: ${docker}}` : `docker run ${docker}`
}

/** The one line that makes an ordinary user one whose steps have the host's namespaces. */
export function rootRemedy(traces: Traces = here): string {
  const { engine, ci } = detectPlace(traces)
  if (engine === 'host') return 'run as root, or use --isolation=rootless'
  const line = administrationRemedy(traces)
  const named = /^(docker|podman) run (.*)$/.exec(line)
  const asRoot =
    named === null || ci !== undefined ? `run as the container's root, and ${line}` : `${named[1]} run -u 0 ${named[2]}`
  return isRootWhole(traces) ? asRoot : withoutDrop(asRoot, traces)
}

/** The one line that makes an ordinary user the root that isolation chroot is for. */
export function chrootRemedy(traces: Traces = here): string {
  const { engine } = detectPlace(traces)
  if (engine === 'host') return 'it is for root in a container: a user on a host has isolation rootless'
  // Podman leaves root without MKNOD, and gives everybody a user namespace.
  if (engine === 'podman')
    return 'it is for root in a container without namespaces: one of Podman has isolation rootless'
  const asRoot = 'run as root in the container (docker run -u 0)'
  return isRootWhole(traces) ? asRoot : withoutDrop(asRoot, traces)
}

/** The security module that may be the cause of EACCES and EPERM, with what this process is under it; undefined for none. */
export function securityModule({ read }: Traces = here): string | undefined {
  // The kernel ends a SELinux context with a zero.
  const label = read('/proc/self/attr/current').replaceAll('\0', '').trim()
  if (label === '' || label === 'unconfined') return undefined
  if (/^[^:]+:[^:]+:[^:]+/.test(label)) return /:unconfined_t:/.test(label) ? undefined : `SELinux (${label})`
  return `AppArmor (profile ${label.replace(/ \(.*\)$/, '')})`
}

/** What helps where the kernel refuses what a step needs: the cause that can be named, and the line of the place. */
export function refusalRemedy(
  errno: string,
  traces: Traces = here,
  line: string | undefined = namespaceRemedy(traces),
): string {
  const module = securityModule(traces)
  if (module?.startsWith('SELinux') && errno === 'EACCES')
    return line === undefined
      ? `${module} refuses it: see ausearch -m avc`
      : `${module} refuses it: start the container with --security-opt label=disable`
  const cause = module !== undefined && errno === 'EACCES' ? `${module} refuses it: ` : ''
  // The kernel maps root for none but who has CAP_SETFCAP, so a filter less would not help. ENOSYS is the answer of a filter, and
  // SYS_ADMIN none of the capabilities that a container has by itself: there, the capabilities alone would not help.
  if (traces.uid === 0 && line !== undefined && !isRootWhole(traces)) {
    const isAlone = detectPlace(traces).engine === 'host' || (errno !== 'ENOSYS' && line === namespaceRemedy(traces))
    return `${cause}${isAlone ? wholeRootRemedy(traces) : withoutDrop(line, traces)}`
  }
  // A job names its user more often than the options of its container.
  const asRoot =
    traces.uid !== 0 && line !== undefined && isRootWhole(traces)
      ? "run as the container's root (docker run -u 0), or: "
      : ''
  return `${cause}${asRoot}${line ?? 'a filter or a security module refuses namespaces to this process: see the kernel log'}`
}

/** For a process that ended before its work was done, without a word. */
export function diedHint(traces: Traces = here): string {
  const line = namespaceRemedy(traces)
  const killed = 'it was killed from outside, or the machine is out of memory: build again'
  return line === undefined ? killed : `${killed}; if it ends each time, this place refuses what it needs: ${line}`
}
