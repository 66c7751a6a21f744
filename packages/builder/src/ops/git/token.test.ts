import { mkdirSync, writeFileSync } from 'node:fs'
import { expect } from '@jest/globals'
import { startStandIn, temporaryDirectory, testWith } from '@ts-oci/testing'
import { build } from '../../build.ts'

testWith(['git'], 'a token for git goes to its host, along no redirect, and into no message', async () => {
  const token = 'hunter2hunter2'
  await using directory = await temporaryDirectory()
  const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text
  await using other = await startStandIn((request, response) => {
    const isGet = request.method === 'GET'
    response.writeHead(200, {
      'content-type': `application/x-git-upload-pack-${isGet ? 'advertisement' : 'result'}`,
    })
    const names = ['# service=git-upload-pack\n', '', 'version 2\n', 'ls-refs\n', 'fetch=shallow\n', '']
    response.end(isGet ? names.map((name) => (name === '' ? '0000' : line(name))).join('') : '0000')
  })
  await using first = await startStandIn((request, response) => {
    response.writeHead(302, { location: `http://${other.host}${request.url}` }).end()
  })
  const context = directory.join('context')
  mkdirSync(context)
  writeFileSync(`${context}/Dockerfile`, `FROM scratch\nADD http://${first.host}/r.git#main /\n`)
  const error: unknown = await build({
    context,
    store: directory.join('store'),
    secrets: [{ id: 'GIT_AUTH_TOKEN', value: token }],
  }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'OCI_SOURCE_FAILED', hint: expect.stringContaining('name its new address') })
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64')
  expect(first.seen.map(({ headers }) => headers.authorization)).toContain(`basic ${basic}`)
  expect(other.seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  const { message, stack } = error as Error
  const shown = `${message}${stack}${JSON.stringify(error)}`
  expect(shown).not.toContain(token)
  expect(shown).not.toContain(basic)
})
