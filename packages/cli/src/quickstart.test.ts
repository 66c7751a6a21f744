import { chmod, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { checkTool, findTool, temporaryDirectory, testWith } from '@ts-oci/testing'

const demo = fileURLToPath(new URL('../../../scripts/quickstart-demo.mjs', import.meta.url))

/** As `npm run quickstart` after its set-up, with a home of its own. */
async function quickstart(prefix: readonly string[]): Promise<string> {
  await using directory = await temporaryDirectory()
  // An ordinary user writes its store here; without the sticky bit it would be refused.
  await chmod(directory.path, 0o1777)
  const command = [...prefix, process.execPath, demo]
  return await checkTool(command[0] ?? '', command.slice(1), {
    cwd: directory.path,
    env: { PATH: process.env['PATH'], HOME: directory.path },
  })
}

testWith(['root', 'ldd'], 'the quickstart builds, and finds everything in the cache the second time', async () => {
  const said = await quickstart([])
  expect(said).toMatch(/image sha256:[0-9a-f]{64}, (\d+) of \1 steps cached/)
  expect(said).toMatch(/<missing> .* RUN \/bin\/sh -c node main\.js world/)
})

testWith(['root', 'ldd', 'setpriv'], 'the quickstart works for a user without subordinate ids', async () => {
  if (!(await isReadableByOthers(demo))) {
    console.warn('not tested: other users cannot read this checkout')
    return
  }
  // An id that no file of the machine names: it has no subordinate ids, and no entry in passwd.
  const user = [findTool('setpriv') ?? '', '--reuid=54321', '--regid=54321', '--clear-groups']
  expect(await quickstart(user)).toMatch(/(\d+) of \1 steps cached/)
})

test('set-up says how far it is while npm and the compiler are silent', async () => {
  const setup = new URL('../../../scripts/setup.mjs', import.meta.url).href
  const script = `
    import { setTimeout as sleep } from 'node:timers/promises'
    import { telling } from ${JSON.stringify(setup)}
    let count = 0
    const status = await telling(() => \`\${++count} of 9 packages\`, () => sleep(500, 'done'), 100)
    console.log(status)`
  const said = await checkTool(process.execPath, ['--input-type=module', '-e', script])
  expect(said).toMatch(/^ {4}0 s: 1 of 9 packages\n {4}0 s: 2 of 9 packages\n[^]*\ndone\n$/)
})

async function isReadableByOthers(path: string): Promise<boolean> {
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o005) !== 0o005) return false
  }
  return true
}
