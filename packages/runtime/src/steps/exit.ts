import { errnoName, errnoText, signalName } from '../errno.ts'
import { RuntimeError } from '../errors.ts'
import type { Isolation } from '../isolation/types.ts'
import type { StepExit, StepSpec } from './types.ts'

/** Tags of native/launcher/failure.h. */
const setupFailed = 'S'.charCodeAt(0)

/**
 * Reads an EXIT frame: the wait status, and when the command never ran a tag, errno and operation.
 * A command that cannot be executed is an exit with `startError` (127, 126); a failed set-up throws:
 * OCI_RUNTIME_MOUNT, OCI_RUNTIME_STEP_START, or OCI_RUNTIME_ISOLATION_UNAVAILABLE when the machine forbids it.
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
  // No cgroup is made for a step as long as no limit is asked, so an OOM kill shows as SIGKILL alone.
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, oomKilled: false }
  return { exitCode: 128 + signal, signal: signalName(signal), oomKilled: false }
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
  const code = /^(mount|overlay|make the mount|bind|attach|mask|make .* read-only)/.test(operation)
    ? 'OCI_RUNTIME_MOUNT'
    : 'OCI_RUNTIME_STEP_START'
  return new RuntimeError(code, `${step.name}: ${operation}: ${errnoText(error)}`, {
    details,
    hint: diskHint(operation),
  })
}

/** An overlay takes no upper directory on another one, which is what the disk of a container mostly is. */
function diskHint(operation: string): string | undefined {
  return /not supported as upperdir/.test(operation)
    ? 'the disk of the store cannot carry an overlay (the own disk of a container?): set TSBUILD_HOME or --store to a directory on a volume or a tmpfs, as in docker run -v tsbuild:/store -e TSBUILD_HOME=/store'
    : undefined
}
