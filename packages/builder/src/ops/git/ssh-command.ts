import { BuilderError } from '../../base/errors.ts'

export interface SshAccess {
  /** Socket of the agent that the user lent; undefined: none, whatever the environment of the caller says. */
  readonly socket: string | undefined
  /** Absolute; of this build alone. */
  readonly knownHostsFile: string
  /** Only the keys in that file count; else the key that a host shows first is kept in it. */
  readonly isKnown: boolean
}

/**
 * `GIT_SSH_COMMAND` for what the user lent and nothing else. ssh takes the home directory of the user database, not
 * `$HOME`, so each of its defaults that would read the caller's keys, agent or hosts is named and switched off.
 */
export function sshCommand({ socket, knownHostsFile, isKnown }: SshAccess): string {
  const options = [
    'BatchMode=yes',
    'IdentityFile=none',
    ...(socket === undefined ? ['IdentityAgent=none'] : []),
    'PKCS11Provider=none',
    'GSSAPIAuthentication=no',
    'HostbasedAuthentication=no',
    'PreferredAuthentications=publickey',
    'ForwardAgent=no',
    'ForwardX11=no',
    'ControlPath=none',
    'UpdateHostKeys=no',
    'GlobalKnownHostsFile=/dev/null',
    `UserKnownHostsFile=${quotePath(knownHostsFile)}`,
    `StrictHostKeyChecking=${isKnown ? 'yes' : 'accept-new'}`,
  ]
  return `ssh -F /dev/null ${options.map((option) => `-o '${option}'`).join(' ')}`
}

/** For the shell of git and for ssh, which splits at blanks and expands `%` and `${`. */
function quotePath(path: string): string {
  // oxlint-disable-next-line no-control-regex -- what would end the option
  if (/['"\\$\u0000-\u001f]/.test(path))
    throw new BuilderError('OCI_SOURCE_FAILED', `ssh cannot be given a file below ${JSON.stringify(path)}`, {
      hint: 'choose a store without quotes, backslashes and dollar signs in its path: TSBUILD_HOME',
    })
  return `"${path.replaceAll('%', '%%')}"`
}
