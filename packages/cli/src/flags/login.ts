import { defineSpec } from '../flag-types.ts'
import { authfile, certDir, insecureRegistry, tlsVerify } from './shared.ts'

const server = { name: 'SERVER', summary: 'registry; default Docker Hub', required: false } as const

export const login = defineSpec({
  name: 'login',
  summary: 'log in to a registry',
  examples: [
    'printenv CI_REGISTRY_PASSWORD | tsbuild login -u "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY"',
    'tsbuild login registry.example.com',
  ],
  args: [server],
  flags: [
    { name: 'username', char: 'u', kind: 'text', value: 'USER', summary: 'user name; asked for on a terminal' },
    {
      name: 'password',
      char: 'p',
      kind: 'text',
      value: 'PASSWORD',
      summary: 'password or token, which others can read here: better --password-stdin; - reads standard input',
    },
    { name: 'password-stdin', kind: 'boolean', summary: 'read the password or token from standard input' },
    { name: 'get-login', kind: 'boolean', summary: 'print who is logged in, and do nothing else' },
    authfile,
    certDir,
    insecureRegistry,
    tlsVerify,
  ],
})

export const logout = defineSpec({
  name: 'logout',
  summary: 'remove the login of a registry',
  args: [server],
  flags: [{ name: 'all', char: 'a', kind: 'boolean', summary: 'of every registry' }, authfile],
})
