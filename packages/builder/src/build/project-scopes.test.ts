import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { mkdir, writeFile } from 'node:fs/promises'
import { projectScopes } from './project-scopes.ts'

async function repository(url: string): Promise<Awaited<ReturnType<typeof temporaryDirectory>>> {
  const directory = await temporaryDirectory()
  await mkdir(directory.join('.git'))
  await mkdir(directory.join('deep/er'), { recursive: true })
  await writeFile(
    directory.join('.git/config'),
    `[core]\n\tbare = false\n[remote "other"]\n\turl = https://no.example/x\n[remote "origin"]\n\tfetch = +refs/heads/*\n\turl = ${url}\n[branch "main"]\n`,
  )
  return directory
}

function repositoryScope(context: string): string | undefined {
  return projectScopes({ context, tags: [], text: undefined }).find((scope) => scope.startsWith('repository'))
}

test.each([
  'https://host.example/owner/app.git',
  'https://user:token@host.example/owner/app',
  'git@host.example:owner/app.git',
  'ssh://git@host.example/owner/app.git/',
])('a clone of %s is of that repository, wherever it lies', async (url) => {
  await using one = await repository(url)
  expect(repositoryScope(one.path)).toBe('repository host.example/owner/app  Dockerfile')
  expect(repositoryScope(one.join('deep/er'))).toBe('repository host.example/owner/app deep/er Dockerfile')
})

test('a context that is a repository elsewhere is of it, at whichever commit', () => {
  expect(repositoryScope('https://host.example/owner/app.git#main:sub')).toBe(
    'repository host.example/owner/app Dockerfile',
  )
})

test('the tag of a name does not count, the name does', () => {
  const scopes = (tag: string): readonly string[] =>
    projectScopes({ context: '/nowhere', tags: [tag], text: 'FROM scratch' })
  expect(scopes('registry.example/app:ci-1')).toEqual(scopes('registry.example/app:ci-2'))
  expect(scopes('registry.example/app:ci-1')).not.toEqual(scopes('registry.example/other:ci-1'))
})
