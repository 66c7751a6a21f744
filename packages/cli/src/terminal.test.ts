import { expect, test } from '@jest/globals'
import { pathToFileURL } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeFile } from 'node:fs/promises'
import { checkTool, runTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { environmentOf, tsbuild, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

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

const refused = { Dockerfile: 'FROM scratch\nCOPPY a b\n' }

testWith(['script'], 'a dumb terminal gets plain lines without an escape', async () => {
  await using directory = await temporaryDirectory()
  const context = await writeContext(directory, { Dockerfile: 'FROM scratch\nCOPY . /\n' })
  const wrong = await writeContext(directory, { wrong: refused.Dockerfile })
  for (const args of [`"${context}"`, `-f "${wrong}/wrong" "${context}"`]) {
    const command = `"${process.execPath}" "${tsbuildPath}" ${args}`
    const { stdout } = await runTool('script', ['-qec', command, '/dev/null'], {
      env: { ...environmentOf(directory), TERM: 'dumb' },
    })
    expect(stdout).toMatch(/^#1 |^ERROR: /m)
    expect(stdout).not.toContain('\u001b')
  }
})

testWith(['script'], 'an error on a terminal is coloured, unless NO_COLOR says no', async () => {
  await using directory = await temporaryDirectory()
  const context = await writeContext(directory, refused)
  const command = `"${process.execPath}" "${tsbuildPath}" --progress=plain "${context}"`
  const shown = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const whole = { ...environmentOf(directory), TERM: 'xterm', ...env }
    return (await runTool('script', ['-qec', command, '/dev/null'], { env: whole })).stdout
  }
  expect(await shown({})).toMatch(/\u001b\[[0-9;]*31m.*ERROR:/)
  expect(await shown({ NO_COLOR: '1' })).not.toContain('\u001b')
})

test('an error in a file is coloured when FORCE_COLOR or CLICOLOR_FORCE asks for it', async () => {
  await using directory = await temporaryDirectory()
  const context = await writeContext(directory, refused)
  expect((await tsbuild(directory, [context])).stderr).not.toContain('\u001b')
  for (const name of ['FORCE_COLOR', 'CLICOLOR_FORCE']) {
    const { stderr } = await tsbuild(directory, [context], { env: { [name]: '1' } })
    expect(stderr).toMatch(/\u001b\[[0-9;]*31m.*ERROR:/)
    expect(stderr).toMatch(/\u001b\[31m *2 \| >>> COPPY a b\u001b\[39m/)
  }
})

// tmux breaks lines anew when its window changes, as most terminals do.
testWith(['tmux'], 'a terminal that becomes narrower, and wider again, shows no line twice', async () => {
  await using directory = await temporaryDirectory()
  const renderer = pathToFileURL(tsbuildPath.replace('/bin/run.js', '/dist/render/tty.js')).href
  const script = `
    import { ttyRenderer } from ${JSON.stringify(renderer)}
    const shown = ttyRenderer(process.stderr, { phase: 'Building', color: true })
    for (let n = 1; n <= 5; n++) {
      const name = 'step ' + n + ' that takes some time and has a name of many words'
      shown.event({ type: 'vertex', id: String(n), name, inputs: [], startedMs: Date.now() })
    }
    setInterval(() => undefined, 1000)`
  await writeFile(directory.join('show.mjs'), script)
  const socket = ['-L', `tsbuild-${process.pid}`, '-f', '/dev/null']
  const tmux = (...args: string[]): Promise<string> => checkTool('tmux', [...socket, ...args])
  const steps = async (): Promise<string[]> =>
    (await tmux('capture-pane', '-p')).split('\n').filter((line) => /Building|=> step|words/.test(line))
  await tmux('new-session', '-d', '-x', '100', '-y', '30', `"${process.execPath}" "${directory.join('show.mjs')}"`)
  try {
    for (let tries = 0; tries < 100 && (await steps()).length < 6; tries++) await sleep(100)
    for (const width of ['40', '25', '90']) {
      await tmux('resize-window', '-x', width, '-y', '30')
      await sleep(500)
      const lines = await steps()
      expect([width, lines.length]).toEqual([width, 6])
      expect(lines[0]).toContain('[+] Building')
    }
  } finally {
    await tmux('kill-server')
  }
})
