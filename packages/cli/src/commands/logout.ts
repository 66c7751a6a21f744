import { defineCommand } from '../define-command.ts'
import { logout } from '../flags.ts'
import { UsageError } from '../usage-error.ts'

export const LogoutCommand = defineCommand(logout, async ({ args, flags }, io) => {
  const [server] = args
  if (flags.all && server !== undefined)
    throw new UsageError('--all takes no SERVER', { hint: 'tsbuild logout SERVER is about one', exitCode: 1 })
  const library = await import('@ts-oci/builder')
  const { servers, left } = await library.logout({
    server,
    all: flags.all,
    authFile: flags.authfile,
    signal: io.signal,
  })
  if (flags.all) io.stdout.write('Removed login credentials for all registries\n')
  else io.stdout.write(`Removing login credentials for ${servers.join(', ')}\n`)
  // A login that another program keeps would still be used.
  for (const place of left)
    io.stderr.write(
      `WARNING: ${server ?? 'Docker Hub'} is still logged in to by ${place}: log out with what wrote it\n`,
    )
  return 0
})
