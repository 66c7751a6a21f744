import { existsSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { runTool, temporaryDirectory, type CommandResult, type TemporaryDirectory } from '@ts-oci/testing'
import { environmentOf, tsbuildPath, writeContext } from '../tsbuild.test.helper.ts'

/** Runs a shell pipeline in which `$TSBUILD` is the command; its status is that of the command, not of the reader. */
async function pipeline(directory: TemporaryDirectory, text: string): Promise<CommandResult> {
  await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY file /file\n', file: 'x'.repeat(3_000_000) })
  const env = { ...environmentOf(directory), TSBUILD: `${process.execPath} ${tsbuildPath}` }
  return runTool('bash', ['-c', `set -o pipefail; ${text}`], { cwd: directory.path, env })
}

test('an archive on standard output reaches a slow reader whole', async () => {
  await using directory = await temporaryDirectory()
  const { stdout, status } = await pipeline(directory, '$TSBUILD -q -o - context | (sleep 0.3; tar -tf -)')
  expect({ stdout, status }).toEqual({ stdout: 'file\n', status: 0 })
})

test('a reader of the archive that leaves early is a failure that names it, without a stack', async () => {
  await using directory = await temporaryDirectory()
  const { stderr, status } = await pipeline(directory, '$TSBUILD -o type=tar,dest=- context | head -c 10 >/dev/null')
  expect(status).toBe(1)
  expect(stderr).toContain('ERROR: cannot write standard output: its reader has gone\n  code: OCI_EXPORT_FAILED\n')
  expect(stderr).not.toContain('    at ')
})

test('a full disk behind standard output is a failure', async () => {
  await using directory = await temporaryDirectory()
  const { stderr, status } = await pipeline(directory, '$TSBUILD -o - context >/dev/full')
  expect(status).toBe(1)
  expect(stderr).toContain('cannot write standard output: no space left on device')
})

test('a reader of the progress that leaves does not end the work', async () => {
  await using directory = await temporaryDirectory()
  const { status } = await pipeline(
    directory,
    '$TSBUILD --progress=plain -o type=tar,dest=out.tar context 2>&1 | head -c 1 >/dev/null',
  )
  expect(status).toBe(0)
  expect(existsSync(directory.join('out.tar'))).toBe(true)
})

test('two outputs that both go to standard output are refused, also when one of them says so only by default', async () => {
  await using directory = await temporaryDirectory()
  const { stderr, status } = await pipeline(directory, '$TSBUILD -o type=tar -o type=oci,dest=- context | cat')
  expect(status).toBe(125)
  expect(stderr).toContain('only one --output can go to standard output')
})
