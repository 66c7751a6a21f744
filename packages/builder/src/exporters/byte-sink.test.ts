import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, readFileSync, readdirSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { runTool, temporaryDirectory } from '@ts-oci/testing'
import { openByteSink, type ByteSink } from './byte-sink.ts'

const chunk = Buffer.alloc(100_000, 'x')

async function send(sink: ByteSink, chunks: number): Promise<void> {
  try {
    for (let i = 0; i < chunks; i++) await sink.write(chunk)
    await sink.write(Buffer.from('end'))
    await sink.commit()
  } catch (error) {
    await sink.abort()
    throw error
  }
}

/** Runs a shell command and writes to its standard input through a sink. */
async function pipeTo(command: string, chunks: number, signal?: AbortSignal): Promise<string> {
  const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  try {
    await send(await openByteSink('-', child.stdin, signal), chunks)
    child.stdin.end()
    await once(child, 'close')
    return output.trim()
  } finally {
    child.kill('SIGKILL')
  }
}

describe('a pipe', () => {
  test.each([0, 1, 30])('whose reader takes its time gets all of %i large chunks', async (chunks) => {
    expect(await pipeTo('sleep 0.2; wc -c', chunks)).toBe(String(chunks * chunk.length + 3))
  })

  test('whose reader leaves early fails by name', async () => {
    await expect(pipeTo('head -c 10', 100)).rejects.toMatchObject({
      code: 'OCI_EXPORT_FAILED',
      message: 'cannot write standard output: its reader has gone',
    })
  })

  test('whose reader reads nothing hears the end of the build', async () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('stopped')), 200)
    await expect(pipeTo('exec sleep 20', 100, controller.signal)).rejects.toThrow('stopped')
  })
})

describe('a named pipe', () => {
  test('gets the bytes when a reader comes, and stays what it is', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.join('pipe')
    await runTool('mkfifo', [path])
    const opening = openByteSink(path, process.stdout)
    await new Promise((resolve) => setTimeout(resolve, 150))
    let bytes = 0
    const reader = createReadStream(path).on('data', (piece) => (bytes += piece.length))
    await Promise.all([opening.then((sink) => send(sink, 30)), once(reader, 'close')])
    expect(bytes).toBe(30 * chunk.length + 3)
    expect(readdirSync(directory.path)).toEqual(['pipe'])
  })

  test('without a reader hears the end of the build', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.join('pipe')
    await runTool('mkfifo', [path])
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 150)
    await expect(openByteSink(path, process.stdout, controller.signal)).rejects.toThrow(/abort/i)
  })
})

test('a full device fails by name, and is still there', async () => {
  await expect(openByteSink('/dev/full', process.stdout).then((sink) => send(sink, 30))).rejects.toMatchObject({
    code: 'OCI_EXPORT_FAILED',
    message: 'cannot write /dev/full: no space left on device',
  })
})

test('a file appears when it is whole, and leaves nothing when it is not', async () => {
  await using directory = await temporaryDirectory()
  const path = directory.join('a.tar')
  const sink = await openByteSink(path, process.stdout)
  await sink.write(chunk)
  expect(readdirSync(directory.path)).not.toContain('a.tar')
  await sink.abort()
  expect(readdirSync(directory.path)).toEqual([])
  await send(await openByteSink(path, process.stdout), 30)
  expect(readFileSync(path).length).toBe(30 * chunk.length + 3)
})
