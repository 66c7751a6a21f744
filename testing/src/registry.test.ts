import { expect } from '@jest/globals'
import { makeBusyboxBase, manifestOf, pushBase } from './bases.ts'
import { checkTool, runTool } from './command.ts'
import { startRegistry } from './registry.ts'
import { testWith } from './requirements.ts'
import { temporaryDirectory } from './temporary.ts'

const tools = ['docker-registry', 'skopeo', 'busybox', 'tar']

testWith(tools, 'a busybox base is pushed to a real registry and comes back as it was', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry()
  const base = await makeBusyboxBase(directory.join('busybox'))
  const reference = await pushBase(base, registry, 'library/busybox:1')
  const inspect = await checkTool('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${reference}`])
  expect(JSON.parse(inspect).layers).toEqual((await manifestOf(base)).layers)
  expect(registry.requests()).toContainEqual(expect.stringMatching(/^PUT \/v2\/library\/busybox\/manifests\/1 201$/))
})

testWith([...tools, 'openssl'], 'a registry with a token service lets in only who has the password', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry({ auth: 'token' })
  const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'private/busybox:1')
  // skopeo may also ask for a repository that it remembers to hold the same blob.
  expect(registry.tokenService?.requests.at(-1)?.scopes).toContain('repository:private/busybox:pull,push')
  const anonymous = ['inspect', '--tls-verify=false', '--no-creds', `docker://${reference}`]
  expect((await runTool('skopeo', anonymous)).status).not.toBe(0)
})

testWith(tools, 'a registry with Basic authentication lets in only who has the password', async () => {
  await using directory = await temporaryDirectory()
  await using registry = await startRegistry({ auth: 'basic' })
  const reference = await pushBase(await makeBusyboxBase(directory.join('busybox')), registry, 'private/busybox:1')
  const anonymous = ['inspect', '--tls-verify=false', '--no-creds', `docker://${reference}`]
  expect((await runTool('skopeo', anonymous)).status).not.toBe(0)
})
