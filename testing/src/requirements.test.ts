import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { runTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

const requirements = fileURLToPath(new URL('./requirements.ts', import.meta.url))
const checkout = fileURLToPath(new URL('../../', import.meta.url))

/** Runs Jest on one test that needs a tool which nobody has; returns its exit status and what it said. */
async function runWith(environment: NodeJS.ProcessEnv): Promise<{ status: number; said: string }> {
  await using directory = await temporaryDirectory()
  await mkdir(directory.join('src'))
  const body = `import { testWith } from ${JSON.stringify(requirements)}\ntestWith(['no-such-tool'], 'tries it', () => {})\n`
  await writeFile(directory.join('src', 'needs.test.ts'), body)
  const jest = `${checkout}node_modules/jest/bin/jest.js`
  const config = `${checkout}.config/jest.config.mjs`
  const roots = ['--rootDir', checkout, '--roots', directory.path, '--json']
  const env = { PATH: process.env['PATH'], ...environment }
  const result = await runTool(process.execPath, ['--experimental-vm-modules', jest, '-c', config, ...roots], { env })
  return { status: result.status, said: result.stdout + result.stderr }
}

test('a test without its tool is skipped and its name says which tool', async () => {
  const { status, said } = await runWith({})
  expect(said).toContain('tries it [skipped, missing: no-such-tool]')
  expect(status).toBe(0)
})

test('in continuous integration a missing tool is a failure', async () => {
  const { status, said } = await runWith({ CI: 'true' })
  expect(said).toContain('missing on this machine, and CI=true: no-such-tool')
  expect(status).toBe(1)
})

test('a tool that the distribution does not have is no failure', async () => {
  const { status } = await runWith({ CI: 'true', TS_OCI_TOOLS_UNAVAILABLE: 'crane,no-such-tool' })
  expect(status).toBe(0)
})
