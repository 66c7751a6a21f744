import { errnoName, errnoText, signalName } from '../errno.ts'
import { RuntimeError } from '../errors.ts'
import type { Isolation } from '../isolation/types.ts'
import type { StepExit, StepSpec } from './types.ts'

/** Tags of native/launcher/failure.h. */
const setupFailed = 'S'.charCodeAt(0)

/** EXIT_OOM_KILLED of native/launcher/protocol.h. */
const oomKilledBit = 2 ** 31

/**
 * Reads an EXIT frame: the wait status, and when the command never ran a tag, errno and operation.
 * A command that cannot be executed is an exit with `startError` (127, 126); a failed set-up throws:
 * OCI_RUNTIME_MOUNT, OCI_RUNTIME_LIMIT_UNAVAILABLE, OCI_RUNTIME_STEP_START, or OCI_RUNTIME_ISOLATION_UNAVAILABLE when the machine forbids it.
 */
export function readExit(payload: Buffer, step: StepSpec, isolation: Isolation): StepExit {
  if (payload.length < 9) return exitOf(payload.readUInt32LE(0))
  const error = payload.readUInt32LE(5)
  const operation = payload.toString('utf8', 9)
  if (payload[4] === setupFailed) throw setupError(step, isolation, operation, error)
  const errno = errnoName(error)
  return {
    exitCode: startExitCode(operation, errno),
    oomKilled: false,
    startError: { operation, errno, message: startMessage(step, operation, errno, error) },
  }
}

/** wait(2): the low seven bits are the signal, the next byte the exit code. */
function exitOf(status: number): StepExit {
  const signal = status & 0x7f
  const oomKilled = status >= oomKilledBit
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, oomKilled }
  return { exitCode: 128 + signal, signal: signalName(signal), oomKilled }
}

/** As shells say it: 127 when there is nothing to execute, 126 when it may not or cannot be. */
function startExitCode(operation: string, errno: string): number {
  return operation.startsWith('exec ') && errno === 'ENOENT' ? 127 : 126
}

function startMessage(step: StepSpec, operation: string, errno: string, error: number): string {
  const command = step.process.args[0] ?? ''
  if (!operation.startsWith('exec ')) return `${operation}: ${errnoText(error)}`
  if (errno === 'ENOENT' && !command.includes('/'))
    return `exec: ${JSON.stringify(command)}: executable file not found in $PATH`
  if (errno === 'ENOEXEC')
    return `exec: ${JSON.stringify(command)}: exec format error (another architecture, or a script without #!)`
  return `exec: ${JSON.stringify(command)}: ${errnoText(error)}`
}

function setupError(step: StepSpec, isolation: Isolation, operation: string, error: number): RuntimeError {
  const errno = errnoName(error)
  const details = { operation, errno, step: step.name }
  // These need nothing of the step: where they are refused, every step is.
  if (
    /^(mount (proc|sysfs|tmpfs|devpts|mqueue|overlay)|clone |make the mounts|seccomp|pivot_root)/.test(operation) &&
    (errno === 'EPERM' || errno === 'EACCES' || errno === 'ENODEV' || errno === 'ENOSYS')
  ) {
    const { reason, remedy } = isolation.explain(operation, errno)
    return new RuntimeError(
      'OCI_RUNTIME_ISOLATION_UNAVAILABLE',
      `${step.name}: this machine does not let a step be set up: ${reason}`,
      { hint: remedy, details },
    )
  }
  if (operation.startsWith('limit ')) return limitError(step, operation, error)
  const code = /^(mount|overlay|make the mount|bind|attach|mask|make .* read-only)/.test(operation)
    ? 'OCI_RUNTIME_MOUNT'
    : 'OCI_RUNTIME_STEP_START'
  return new RuntimeError(code, `${step.name}: ${operation}: ${errnoText(error)}`, {
    details,
    hint: diskHint(operation, errno),
  })
}

/** "limit memory: write 67108864 to memory.max", as native/launcher/limits.c says it. */
function limitError(step: StepSpec, operation: string, error: number): RuntimeError {
  const errno = errnoName(error)
  const isChroot = operation.includes('isolation chroot')
  const what = operation.slice('limit '.length)
  return new RuntimeError(
    'OCI_RUNTIME_LIMIT_UNAVAILABLE',
    `${step.name}: this machine does not let the step be limited: ${what}${isChroot ? '' : `: ${errnoText(error)}`}`,
    { details: { operation, errno, step: step.name }, hint: limitHint(operation, errno) },
  )
}

function limitHint(operation: string, errno: string): string {
  if (errno === 'EROFS')
    return 'the cgroups of this container are read-only: limit the container itself (docker run -m 2g --cpus 2), or run it with --privileged'
  if (operation.includes('isolation chroot')) return 'limit the container itself, as in docker run -m 2g --cpus 2'
  if (errno === 'EACCES' || errno === 'EPERM')
    return 'run it in a cgroup of your own: systemd-run --user --scope -p Delegate=yes tsbuild ...'
  if (errno === 'EBUSY')
    return operation.includes('limits of its own')
      ? 'a limit does not lift another: raise that one, or name a cgroup to be limited in with --cgroup-parent'
      : 'the kernel limits nothing below a cgroup that has processes: name another with --cgroup-parent, or in a container: mkdir /sys/fs/cgroup/init && xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs'
  if (errno === 'EINVAL' || errno === 'ERANGE' || errno === 'ENOSPC' || errno === 'ENODATA')
    return 'the kernel does not take this value: see how much this machine has (nproc, free)'
  if (operation.includes('find the cgroup')) return 'make it first (mkdir below /sys/fs/cgroup), or start its slice'
  return operation.includes('memory.swap') || operation.includes('memory.memsw')
    ? 'the kernel does not count swap: boot it with swapaccount=1, or leave memory-swap out'
    : 'the controller is not enabled here: see cgroup.controllers below /sys/fs/cgroup, and Delegate= of systemd'
}

/** What the disk of the store does not allow: an overlay on another one, as the disk of a container mostly is; devices. */
function diskHint(operation: string, errno: string): string | undefined {
  if (operation.startsWith('open /dev/') && errno === 'EACCES')
    return 'the store lies on a file system that is mounted without devices (nodev), as docker run --tmpfs does: add dev to its options (--tmpfs /tmp:exec,dev), or set TSBUILD_HOME or --store to a directory on a volume'
  return /not supported as upperdir/.test(operation)
    ? 'the disk of the store cannot carry an overlay (the own disk of a container?): set TSBUILD_HOME or --store to a directory on a volume or a tmpfs, as in docker run -v tsbuild:/store -e TSBUILD_HOME=/store'
    : undefined
}
