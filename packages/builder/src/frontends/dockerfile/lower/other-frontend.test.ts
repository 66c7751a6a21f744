import { expect, test } from '@jest/globals'
import { lowerText } from './environment.test.helper.ts'

function lowered(text: string, buildArgs: Readonly<Record<string, string>> = {}): Promise<unknown> {
  return lowerText(text, { buildArgs: new Map(Object.entries(buildArgs)) })
}

test('a syntax line that names another frontend is refused at its place, with what to do', async () => {
  await expect(lowered('# syntax=ghcr.io/devthefuture/dockerfile-x some=option\nFROM scratch\n')).rejects.toMatchObject(
    {
      code: 'OCI_FRONTEND_UNSUPPORTED',
      message: expect.stringMatching(/^# syntax=ghcr\.io\/devthefuture\/dockerfile-x: this frontend is not run/),
      hint: expect.stringContaining('--build-arg BUILDKIT_SYNTAX=docker/dockerfile:1'),
      location: { startLine: 1 },
    },
  )
})

test.each([
  'docker/dockerfile',
  'docker/dockerfile:1.7-labs',
  'docker.io/docker/dockerfile:1@sha256:0000000000000000000000000000000000000000000000000000000000000000',
  'docker/dockerfile-upstream:master',
  'mirror.example:5000/hub/docker/dockerfile:1',
  'mcr.microsoft.com/oss/moby/dockerfile:1',
])('%s is the frontend that is built in', async (syntax) => {
  await expect(lowered(`# syntax=${syntax}\nFROM scratch\n`)).resolves.toMatchObject({ warnings: [] })
})

test('the build argument BUILDKIT_SYNTAX wins over the line', async () => {
  const other = '# syntax=example/other\nFROM scratch\n'
  await expect(lowered(other, { BUILDKIT_SYNTAX: 'docker/dockerfile:1' })).resolves.toMatchObject({ warnings: [] })
  await expect(lowered('FROM scratch\n', { BUILDKIT_SYNTAX: 'example/other' })).rejects.toMatchObject({
    message: expect.stringMatching(/^BUILDKIT_SYNTAX=example\/other: /),
  })
})

test('an instruction that only another frontend knows is told with that frontend', async () => {
  await expect(lowered('# syntax=example/include\nFROM scratch\nINCLUDE ./base\n')).rejects.toMatchObject({
    message: expect.stringContaining('unknown instruction: INCLUDE'),
    hint: 'the frontend of # syntax=example/include is not run, only docker/dockerfile is built in',
  })
  await expect(lowered('FROM scratch\nINCLUDE ./base\n')).rejects.toMatchObject({ hint: undefined })
})
