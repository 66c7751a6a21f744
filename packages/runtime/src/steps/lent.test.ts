/** A secret and the socket of an agent, lent to one step: nobody else has them, at its side or later, whatever it tries. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { checkTool, describeWith } from '@ts-oci/testing'
import { compileHelper, startContainer } from '../testing/container.test.helper.ts'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { StepResult, TestStep } from '../testing/machine.test.helper.ts'
import type { StepMount } from './types.ts'

const SECRET = 'lent-to-one-step-8c12'
/** Found in what has it, and not in the words that look for it. */
const pattern = SECRET.replace('lent', '[l]ent')

/** Each way to keep it: another name, a descriptor, a process that stays. What is refused is none; a copy is everybody's right. */
const keep = `reach-socket /run/agent
exec 3</run/secrets/token
ln /run/secrets/token /linked; ln /run/secrets/token /cache/linked
mv /run/secrets/token /moved; mv /run/secrets /elsewhere; mv /run/secrets/token /cache/moved
ln -s /proc/self/fd/3 /cache/descriptor; ln -s /proc/1/root/run /cache/root
ln /run/agent /cache/agent; mv /run/agent /cache/agent; ln -s /run/agent /cache/agent-link
setsid sh -c 'exec sleep 30' 3<&3 >/dev/null 2>&1 &
echo held`

const lookFor = `for at in /proc/[0-9]*; do
  for file in $at/root/run/secrets/token $at/cwd/run/secrets/token $at/environ $at/fd/*; do
    [ -f $file ] && grep -qs '${pattern}' $file && echo "read $file"
  done
  reach-socket $at/root/run/agent $at/cwd/run/agent
done
for file in /run/secrets/token /linked /moved /elsewhere/token /cache/*; do
  [ -f $file ] && grep -qs '${pattern}' $file && echo "read $file"
done
reach-socket /run/agent /cache/*`

interface Place extends AsyncDisposable {
  /** Everything that is kept: the store, in a build. */
  readonly directories: readonly string[]
  run(step: TestStep): Promise<StepResult>
  /** In another stage, at the same time; where a root is a plain directory each has its own, and so has it a cache. */
  runBeside(step: TestStep): Promise<StepResult>
  readonly cache: string
  readonly cacheBeside: string
}

async function startPlace(who: string): Promise<Place> {
  if (who === 'chroot') {
    const container = await startContainer()
    await compileHelper('reach-socket', join(container.root, 'bin/reach-socket'))
    const beside = join(container.own, 'beside')
    await checkTool('cp', ['-a', container.root, beside])
    return {
      directories: [container.own, container.root],
      run: (step) => container.run(step),
      runBeside: (step) => container.run({ ...step, directoryRoot: beside }),
      cache: container.directory('cache'),
      cacheBeside: container.directory('cache-beside'),
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    }
  }
  const machine = await startMachine(who as keyof typeof requirementsOf)
  await compileHelper('reach-socket', join(machine.rootfs, 'bin/reach-socket'))
  const cache = await machine.ownDirectory('cache')
  return {
    directories: [machine.directory.path],
    run: (step) => machine.run(step),
    runBeside: (step) => machine.run(step),
    cache,
    cacheBeside: cache,
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  }
}

for (const who of ['root', 'subordinate', 'single', 'container', 'container-userns', 'chroot'] as const) {
  describeWith([...requirementsOf[who === 'chroot' ? 'root' : who], 'cc'], `what is lent to a step (${who})`, () => {
    test('is nobody else’s, at its side or afterwards', async () => {
      await using place = await startPlace(who)
      const socket = join(place.directories[0]!, 'agent')
      const server = createServer().listen(socket)
      await once(server, 'listening')
      chmodSync(socket, 0o777)
      const bind = (hostPath: string, target: string): StepMount => ({
        source: { kind: 'bind', hostPath },
        target,
        readonly: false,
      })
      try {
        const holding = place.run({
          run: `${keep}\nsleep 2`,
          env: ['PATH=/bin', `TOKEN=${SECRET}`],
          mounts: [
            {
              source: { kind: 'secret', content: Buffer.from(SECRET), uid: 0, gid: 0, mode: 0o444 },
              target: '/run/secrets/token',
              readonly: true,
            },
            bind(socket, '/run/agent'),
            bind(place.cache, '/cache'),
          ],
        })
        const looking = place.runBeside({
          run: `end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do ${lookFor}\nusleep 100000; done; echo looked`,
          mounts: [bind(place.cacheBeside, '/cache')],
        })
        const [held, looked] = await Promise.all([holding, looking])
        expect([looked.error, looked.stdout]).toEqual([undefined, 'looked\n'])
        // Without mounts a step that moved or linked it has failed.
        expect(held.stdout).toBe('reached /run/agent\nheld\n')
        // As a build does with the end of the step: what was kept of the socket is a name in a layer or a cache.
        server.close()
        const later = await place.run({ run: `${lookFor}\necho looked`, mounts: [bind(place.cache, '/cache')] })
        expect([later.error, later.stdout]).toEqual([undefined, 'looked\n'])
      } finally {
        server.close()
        rmSync(socket, { force: true })
      }
      const { stdout } = spawnSync('grep', ['-rlF', '-D', 'skip', SECRET, ...place.directories], { encoding: 'utf8' })
      expect(stdout).toBe('')
    })
  })
}
