import { expect, test } from '@jest/globals'
import { createExecutions, type Watcher, type Work } from './executions.ts'

const never = new AbortController().signal

function listener(): Watcher & { readonly heard: string[] } {
  const heard: string[] = []
  return {
    heard,
    started: (reason) => heard.push(`started ${reason}`),
    completed: () => heard.push('completed'),
    log: (_stream, data) => heard.push(Buffer.from(data).toString()),
    status: (id, text) => heard.push(`${id} ${text}`),
  }
}

/** A run that is told when to go on; counts how often it began. */
function controlledRun(): {
  readonly work: Work<string>
  readonly ends: PromiseWithResolvers<void>
  readonly watcher: () => Watcher
  runs: number
} {
  const ends = Promise.withResolvers<void>()
  let watcher: Watcher | undefined
  const run = {
    runs: 0,
    ends,
    watcher: () => watcher!,
    work: async (given: Watcher) => {
      run.runs++
      watcher = given
      await ends.promise
      return { recordKey: 'record', value: 'made' }
    },
  }
  return run
}

test('work that is under way is joined, whatever locks there are, and who comes late hears it from the beginning', async () => {
  const executions = createExecutions()
  const { work, ends, watcher } = controlledRun()
  const [first, late] = [listener(), listener()]
  const leading = executions.run('key', first, never, work)
  watcher().started('new')
  const bytes = Buffer.from('early')
  watcher().log('stdout', bytes)
  // The buffer was lent, and is used again.
  bytes.fill('x')
  watcher().status('layer', '1', {})
  watcher().status('layer', '2', {})
  const joining = executions.run('key', late, never, () => Promise.reject(new Error('it ran twice')))
  watcher().log('stdout', Buffer.from('later'))
  watcher().completed()
  ends.resolve()
  expect(await Promise.all([leading, joining])).toEqual([{ value: 'made' }, { joined: 'record' }])
  expect(first.heard).toEqual(['started new', 'early', 'layer 1', 'layer 2', 'later', 'completed'])
  expect(late.heard).toEqual(['started new', 'early', 'layer 2', 'later', 'completed'])
})

test('another key runs beside it, and the same key runs again when it is done', async () => {
  const executions = createExecutions()
  const run = controlledRun()
  const both = ['a', 'b'].map((key) => executions.run(key, listener(), never, run.work))
  expect(run.runs).toBe(2)
  run.ends.resolve()
  await Promise.all(both)
  await executions.run('a', listener(), never, run.work)
  expect(run.runs).toBe(3)
})

test('a failure is that of everybody who joined', async () => {
  const executions = createExecutions()
  const run = controlledRun()
  const both = [1, 2].map(() => executions.run('key', listener(), never, run.work))
  run.ends.reject(new Error('exit 1'))
  for (const one of both) await expect(one).rejects.toThrow('exit 1')
  expect(run.runs).toBe(1)
})

test('who is stopped while he runs leaves it to one who joined, who is stopped while he waits leaves it alone', async () => {
  const executions = createExecutions()
  const [leader, waiting] = [new AbortController(), new AbortController()]
  const untilStopped = controlledRun()
  const leading = executions.run('key', listener(), leader.signal, untilStopped.work)
  const gone = executions.run('key', listener(), waiting.signal, untilStopped.work)
  const again = controlledRun()
  const heir = executions.run('key', listener(), never, again.work)
  waiting.abort(new Error('stopped'))
  await expect(gone).rejects.toThrow('stopped')
  expect(untilStopped.runs).toBe(1)
  leader.abort(new Error('stopped'))
  untilStopped.ends.reject(leader.signal.reason)
  await expect(leading).rejects.toThrow('stopped')
  again.ends.resolve()
  expect(await heir).toEqual({ value: 'made' })
})

test('of much output the end is kept for those who come late, and that it is the end is said', async () => {
  const executions = createExecutions()
  const { work, ends, watcher } = controlledRun()
  const leading = executions.run('key', listener(), never, work)
  const piece = Buffer.alloc(1024 * 1024, 'a')
  for (let pieces = 0; pieces < 4; pieces++) watcher().log('stdout', piece)
  const late = listener()
  const joining = executions.run('key', late, never, work)
  ends.resolve()
  await Promise.all([leading, joining])
  expect(late.heard.map((text) => text.length)).toEqual(['[earlier output left out]\n'.length, 1 << 20, 1 << 20])
})
