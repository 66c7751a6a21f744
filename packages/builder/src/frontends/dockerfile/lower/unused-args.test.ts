import { expect, test } from '@jest/globals'
import { createTestEnvironment, lowerText } from './environment.test.helper.ts'

const onbuild = createTestEnvironment({
  'registry.example/trigger:1': { config: { OnBuild: ['ARG TRIGGERED'] } },
})

async function warningsOf(text: string, ...names: string[]): Promise<string[]> {
  const { warnings } = await lowerText(text, { buildArgs: new Map(names.map((name) => [name, '1'])) }, onbuild)
  return warnings.map(({ message }) => message)
}

// Words and order are those of Docker's classic builder (28.5); BuildKit has no such warning.
test('build arguments that no ARG takes are named in one warning, sorted', async () => {
  expect(await warningsOf('FROM scratch\nARG USED\n', 'Y', 'X', 'USED')).toEqual([
    'One or more build-args [X Y] were not consumed',
  ])
})

test('the ARG that was meant is proposed', async () => {
  expect(await warningsOf('FROM scratch\nARG VERSION\n', 'VERSOIN')).toEqual([
    'One or more build-args [VERSOIN] were not consumed (did you mean VERSION?)',
  ])
})

test.each([
  ['above the first FROM', 'ARG A\nFROM scratch\n', 'A'],
  ['in a stage that is not built', 'FROM scratch AS other\nARG A\nFROM scratch\n', 'A'],
  ['among the triggers of a base', 'FROM registry.example/trigger:1\n', 'TRIGGERED'],
])('an ARG %s takes it', async (_, text, name) => {
  expect(await warningsOf(text, name)).toEqual([])
})

test.each(['HTTP_PROXY', 'no_proxy', 'SOURCE_DATE_EPOCH', 'TARGETARCH', 'BUILDKIT_INLINE_CACHE'])(
  '%s speaks to the builder and needs no ARG',
  async (name) => {
    expect(await warningsOf('FROM scratch\n', name)).toEqual([])
  },
)
