import { lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { landlockVersion } from '../landlock.ts'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'

const jobs = new URL('../testing/attempts.test.helper.ts', import.meta.url).href
const REFUSALS = ['EACCES', 'EPERM', 'EROFS', 'EXDEV', 'REFUSED']

for (const who of ['root', 'root-userns', 'container', 'subordinate'] as const satisfies readonly Who[]) {
  describeWith(requirementsOf[who], `the process for file jobs (${who})`, () => {
    let machine: Machine
    const server = createServer((socket) => socket.destroy())
    let places: Readonly<Record<string, unknown>>
    beforeAll(async () => {
      machine = await startMachine(who)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const outside = machine.directory.join('outside')
      mkdirSync(outside, { mode: 0o777 })
      writeFileSync(`${outside}/file`, 'as it was', { mode: 0o666 })
      places = {
        inside: await machine.ownDirectory('granted/layer'),
        beside: await machine.ownDirectory('beside'),
        outside,
        port: (server.address() as AddressInfo).port,
      }
    })
    afterAll(async () => {
      server.close()
      await machine[Symbol.asyncDispose]()
    })

    test('reaches nothing but what it was given', async () => {
      const { output, error } = await machine.job(jobs, 'attempts', places)
      expect(error).toBeUndefined()
      const outcomes = output as Readonly<Record<string, string>>
      // Without Landlock reading stays possible, and the rest of the base.
      const mayHappen = new Set(
        landlockVersion() >= 2
          ? []
          : ['read /etc/shadow', 'list the root', 'write into the base, beside what is granted'],
      )
      // What lies outside of a user's reach anyway is his own right, and so is reading what he may read.
      if (who !== 'root') for (const name of ['list the root', 'read /etc/shadow']) mayHappen.add(name)
      const reached = Object.entries(outcomes).filter(
        ([name, code]) => !REFUSALS.includes(code) && !mayHappen.has(name),
      )
      expect(reached).toEqual([])
      expect(readFileSync(`${places['outside'] as string}/file`, 'utf8')).toBe('as it was')
      expect(readdirSync(places['outside'] as string)).toEqual(['file'])
      expect(lstatSync(`${places['outside'] as string}/file`).mode & 0o7777).toBe(0o644)
    })

    test('has no network and no environment of its caller', async () => {
      expect((await machine.job(jobs, 'connect', places)).output).toMatch(/^(EPERM|EACCES)$/)
      const names = (await machine.job(jobs, 'environment', {})).output as readonly string[]
      const ours = who === 'root-userns' || who === 'container' ? ['TS_OCI_MADE_AS_ROOT'] : []
      expect(names.filter((name) => name !== 'LD_LIBRARY_PATH')).toEqual(['OPENSSL_CONF', ...ours])
    })

    test('writes owners, set-id bits, capabilities, whiteouts and opaque markers where it may', async () => {
      const xattr = who === 'root' ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
      expect(await machine.job(jobs, 'writeLayer', { ...places, xattr })).toEqual({
        output: { uid: 1234, gid: 4321, mode: 0o6755 },
      })
    })
  })
}
