import { expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

const hostile = 'a\u001b]52;c;aGk=\u0007\u001b[2J\u009b2J\u202eb'
const quiet = /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/

test('names and texts of a build that a terminal would act on reach neither progress nor errors nor tables', async () => {
  await using directory = await temporaryDirectory()
  const context = await writeContext(directory, {
    [hostile]: 'x',
    Dockerfile: `FROM scratch\nCOPY a* /x/\nWORKDIR "/${hostile}"\nLABEL l="${hostile}"\n`,
    missing: `FROM scratch\nCOPY "${hostile}-gone" /x\n`,
    unknown: `FROM scratch\n${hostile} x\n`,
  })
  const outputs = [
    await tsbuild(directory, ['--progress=plain', '-t', 'hostile', context]),
    await tsbuild(directory, ['--progress=rawjson', '--no-cache', '-t', 'hostile', context]),
    await tsbuild(directory, ['-f', `${context}/missing`, context]),
    await tsbuild(directory, ['-f', `${context}/unknown`, context]),
    await tsbuild(directory, ['-f', `${context}/${hostile}`, context]),
    await tsbuild(directory, ['--target', hostile, context]),
    await tsbuild(directory, ['-t', hostile, context]),
    await tsbuild(directory, ['-o', `type=${hostile}`, context]),
    await tsbuild(directory, ['--call=outline', context]),
    await tsbuild(directory, ['history', '--no-trunc', 'hostile']),
    await tsbuild(directory, ['inspect', 'hostile']),
    await tsbuild(directory, ['inspect', '--format', '{{json .Config.Labels}}', 'hostile']),
    await tsbuild(directory, ['inspect', hostile]),
    await tsbuild(directory, ['rmi', hostile]),
    await tsbuild(directory, ['prune', '-a', '-f']),
    await tsbuild(directory, [hostile]),
  ]
  for (const { stdout, stderr } of outputs)
    expect([stdout, stderr]).toEqual([stdout, stderr].map(() => expect.stringMatching(quiet)))
  expect(outputs.map(({ status }) => status)).toEqual([0, 0, 1, 1, 1, 1, 1, 125, 0, 0, 0, 0, 1, 1, 0, 1])
})
