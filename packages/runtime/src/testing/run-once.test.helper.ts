/** `run` as another user: its options come as JSON in the second argument, what it is given to read in the third; prints what came of it as JSON. */
import { text } from 'node:stream/consumers'
import { run, type RunOptions } from '../run.ts'

const [root = '', options = '{}', input = ''] = process.argv.slice(2)
try {
  await using running = run(root, JSON.parse(options) as RunOptions)
  if (input !== '') running.stdin?.write(input)
  running.stdin?.end()
  const [stdout, stderr, exit] = await Promise.all([text(running.stdout), text(running.stderr), running.exited])
  console.log(JSON.stringify({ stdout, stderr, exitCode: exit.exitCode }))
} catch (error) {
  const { code, message } = error as { readonly code?: string; readonly message: string }
  console.log(JSON.stringify({ code, message }))
}
