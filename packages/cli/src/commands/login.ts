import type { LoginOptions, StoredLogin } from '@ts-oci/builder'
import type { CommandIo } from '../command-io.ts'
import { defineCommand } from '../define-command.ts'
import type { Input } from '../flag-types.ts'
import { login } from '../flags.ts'
import { askHidden, askLine, readSecret } from '../render/ask.ts'
import { UsageError } from '../usage-error.ts'

type Flags = Input<typeof login>['flags']
type Place = Omit<LoginOptions, 'username' | 'password'>

export const LoginCommand = defineCommand(login, async ({ args, flags }, io) => {
  const fromInput = checkFlags(flags)
  const place = placeOf(args[0], flags, io)
  const library = await import('@ts-oci/builder')
  const { username, password } = flags
  const found = username === undefined && password === undefined ? await library.findLogin(place) : undefined
  if (flags['get-login']) return printLogin(found, args[0], io)
  if (password !== undefined && !fromInput)
    io.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n')
  warnOfEnvironment(io)
  if (found !== undefined && (await isStillGood(found, io))) {
    io.stdout.write('Login Succeeded\n')
    return 0
  }
  const given = await credentialsOf(flags, fromInput, found, io)
  const kept = await library.login({ ...place, ...given })
  if (kept.isUnencrypted)
    io.stderr.write(
      `\nWARNING! Your credentials are stored unencrypted in '${kept.file}'.\n` +
        'Configure a credential helper to remove this warning. See\n' +
        'https://docs.docker.com/go/credential-store/\n\n',
    )
  io.stdout.write('Login Succeeded\n')
  return 0
})

/** Docker's own rules and words. @returns whether the password comes on standard input */
function checkFlags({ username, password, 'password-stdin': isAsked }: Flags): boolean {
  const fail = (message: string): never => {
    throw new UsageError(message, { exitCode: 1 })
  }
  const fromInput = isAsked || password === '-'
  if (isAsked && password !== undefined && password !== '-')
    fail('conflicting options: cannot specify both --password and --password-stdin')
  if (fromInput && username === undefined) fail('the --password-stdin option requires --username to be set')
  if (username?.trim() === '') fail('username is empty')
  if (password === '') fail('password is empty')
  return fromInput
}

function placeOf(server: string | undefined, flags: Flags, io: CommandIo): Place {
  const named =
    server === undefined || flags['tls-verify'] ? [] : [server.replace(/^https?:\/\//, '').replace(/\/.*/, '')]
  return {
    server,
    authFile: flags.authfile,
    certDir: flags['cert-dir'],
    insecureRegistries: [...flags['insecure-registry'], ...named],
    signal: io.signal,
  }
}

function printLogin(found: StoredLogin | undefined, server: string | undefined, io: CommandIo): number {
  if (found === undefined) {
    io.stderr.write(`not logged into ${server ?? 'docker.io'}\n`)
    return 1
  }
  io.stdout.write(`${found.username}\n`)
  return 0
}

function warnOfEnvironment({ env, stderr }: CommandIo): void {
  if (env['DOCKER_AUTH_CONFIG'])
    stderr.write(
      'WARNING! DOCKER_AUTH_CONFIG is set and takes precedence.\nUnset DOCKER_AUTH_CONFIG to have this login used.\n',
    )
}

async function isStillGood(found: StoredLogin, io: CommandIo): Promise<boolean> {
  const who = found.username === '' ? '' : ` [Username: ${found.username}]`
  io.stderr.write(
    `Authenticating with existing credentials...${who}\n\n` +
      "Info → To login with a different account, run 'tsbuild logout' followed by 'tsbuild login'\n\n\n",
  )
  try {
    await found.check()
    return true
  } catch (error) {
    if (io.signal.aborted) throw error
    const { code, message } = error as { code?: unknown; message: string }
    const isRefused = code === 'OCI_REGISTRY_UNAUTHORIZED'
    io.stderr.write(
      isRefused ? 'Stored credentials invalid or expired\n' : `Login did not succeed, error: ${message}\n`,
    )
    return false
  }
}

async function credentialsOf(
  flags: Flags,
  fromInput: boolean,
  found: StoredLogin | undefined,
  io: CommandIo,
): Promise<Pick<LoginOptions, 'username' | 'password'>> {
  const fail = (message: string): never => {
    throw new UsageError(message, { exitCode: 1 })
  }
  if (fromInput) {
    const password = await readSecret(io)
    if (password.trim() === '') fail('password is empty')
    return { username: flags.username ?? '', password }
  }
  const { username: user, password: typed } = flags
  if (user !== undefined && typed !== undefined) return { username: user, password: typed }
  if (!io.stdin.isTTY)
    throw new UsageError('cannot perform an interactive login from a non TTY device', {
      hint: 'tsbuild login -u USER --password-stdin SERVER < FILE',
      exitCode: 1,
    })
  const known = found?.username ?? ''
  const username = user ?? ((await askLine(io, known === '' ? 'Username: ' : `Username (${known}): `)).trim() || known)
  if (username === '') fail('username is required')
  const password = typed ?? (await askHidden(io, 'Password: '))
  if (password === '') fail('password is required')
  return { username, password }
}
