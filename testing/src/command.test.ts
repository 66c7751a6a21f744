import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { runTool } from './command.ts'
import { listProcesses } from './processes.ts'

test('a tool that is not done in time is ended with all that it started, and says what it had said', async () => {
  const error: unknown = await runTool('sh', ['-c', 'echo begun; sleep 300.123 & wait'], { limitMs: 300 }).catch(
    (caught: unknown) => caught,
  )
  expect(String(error)).toMatch(/not done after 300 ms\nbegun/)
  const left = (): boolean => listProcesses().some(({ command }) => command === 'sleep 300.123')
  for (let tries = 0; tries < 100 && left(); tries++) await sleep(10)
  expect(left()).toBe(false)
})
