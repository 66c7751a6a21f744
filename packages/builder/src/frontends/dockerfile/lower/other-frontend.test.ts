import { expect, test } from '@jest/globals'
import { lowerText } from './environment.test.helper.ts'

async function warningsOf(text: string, buildArgs: Readonly<Record<string, string>> = {}) {
  const { warnings } = await lowerText(text, { buildArgs: new Map(Object.entries(buildArgs)) })
  return warnings.map(({ message, location }) => [message, location?.startLine])
}

test('a syntax line that names another frontend is not passed over in silence', async () => {
  expect(await warningsOf('# syntax=ghcr.io/devthefuture/dockerfile-x some=option\nFROM scratch\n')).toEqual([
    [
      '# syntax=ghcr.io/devthefuture/dockerfile-x names another frontend, which is not run: the file was read as docker/dockerfile:1',
      1,
    ],
  ])
})

test.each([
  'docker/dockerfile',
  'docker/dockerfile:1.7-labs',
  'docker.io/docker/dockerfile:1@sha256:0000000000000000000000000000000000000000000000000000000000000000',
  'docker/dockerfile-upstream:master',
  'mirror.example:5000/hub/docker/dockerfile:1',
  'mcr.microsoft.com/oss/moby/dockerfile:1',
])('%s is the frontend that is built in', async (syntax) => {
  expect(await warningsOf(`# syntax=${syntax}\nFROM scratch\n`)).toEqual([])
})

test('the build argument BUILDKIT_SYNTAX wins over the line', async () => {
  const other = '# syntax=example/other\nFROM scratch\n'
  expect(await warningsOf(other, { BUILDKIT_SYNTAX: 'docker/dockerfile:1' })).toEqual([])
  const [[message, line] = []] = await warningsOf('FROM scratch\n', { BUILDKIT_SYNTAX: 'example/other' })
  expect([message, line]).toEqual([expect.stringMatching(/^BUILDKIT_SYNTAX=example\/other names/), undefined])
})

test('an instruction that only another frontend knows is told with that frontend', async () => {
  await expect(lowerText('# syntax=example/include\nFROM scratch\nINCLUDE ./base\n')).rejects.toMatchObject({
    message: expect.stringContaining('unknown instruction: INCLUDE'),
    hint: 'the frontend of # syntax=example/include is not run: the file is read as docker/dockerfile:1',
  })
  await expect(lowerText('FROM scratch\nINCLUDE ./base\n')).rejects.toMatchObject({ hint: undefined })
})
