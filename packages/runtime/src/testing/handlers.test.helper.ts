/** File jobs for the tests of runJob. */
import { chownSync, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { TsOciError } from '../errors.ts'
import type { JobContext, JobHandlers } from '../executor/job-handler.ts'

export const handlers: JobHandlers = {
  whoAmI: () => ({
    pid: process.pid,
    uid: process.getuid?.(),
    uidMap: readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/),
  }),
  ownNumber: () => process.pid,
  echo: (input: unknown) => input,
  owners: ({ path }: { readonly path: string }) => {
    mkdirSync(path)
    writeFileSync(`${path}/file`, 'x')
    chownSync(`${path}/file`, 1234, 4321)
    const { uid, gid } = lstatSync(`${path}/file`)
    return { uid, gid, names: readdirSync(path) }
  },
  typedError: () => {
    throw new TsOciError('OCI_TEST', 'a typed error', { hint: 'do this', details: { count: 3 } })
  },
  fileError: () => readFileSync('/no/such/file'),
  bug: () => {
    throw new TypeError('a bug')
  },
  large: ({ bytes }: { readonly bytes: number }) => new Uint8Array(bytes).fill(7),
  untilCanceled: (_input: unknown, { signal }: JobContext) =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve('canceled'))),
  dies: () => process.exit(9),
}
