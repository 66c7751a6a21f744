import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

const root = '/sys/fs/cgroup'

/** The directory of this process in a hierarchy of version 1; undefined where the controller is not of that version, or is not mounted. */
function versionOne(controller: string): string | undefined {
  const path = new RegExp(`^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(
    readFileSync('/proc/self/cgroup', 'utf8'),
  )?.[1]
  return path !== undefined && existsSync(`${root}/${controller}${path}`) ? `${root}/${controller}${path}` : undefined
}

const memory = versionOne('memory')
const cpu = versionOne('cpu')
const cpuset = versionOne('cpuset')
const pids = versionOne('pids')
const isVersionOne = memory !== undefined && cpu !== undefined && cpuset !== undefined && pids !== undefined

/** Directories of ours in the hierarchies. */
function ours(prefix: string): string[] {
  return [memory, cpu, cpuset, pids].flatMap((directory) =>
    directory === undefined
      ? []
      : readdirSync(directory).flatMap((name) => (name.startsWith(prefix) ? [`${directory}/${name}`] : [])),
  )
}

async function expectSoon(is: () => boolean): Promise<void> {
  const end = Date.now() + 5000
  while (!is()) {
    if (Date.now() > end) throw new Error('did not become so within 5 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

// In memory of the step: the shell's own, as a file in /dev/shm would have a limit of its own.
const EAT = 'x=x; while :; do x=$x$x; done'
const MIB = 1024 * 1024

/** Where all controllers are of version 2, `npm run kernels` tries limits. */
function describeVersionOne(name: string, body: () => void): void {
  if (isVersionOne) describeWith(requirementsOf.root, name, body)
  else describe.skip(`${name} [skipped, missing: controllers of version 1]`, body)
}

describeVersionOne('a limited step (cgroups of version 1)', () => {
  let machine: Machine
  beforeAll(async () => {
    machine = await startMachine('root')
  })
  afterAll(async () => machine[Symbol.asyncDispose]())

  /** What the kernel says of the only cgroup of a step that there is, while one runs. */
  async function duringStep(resources: object, files: readonly string[]): Promise<string[]> {
    const running = machine.run({ run: 'echo ready; sleep 1', resources, cancelAfterMs: 800 })
    let found: string[] = []
    await expectSoon(() => {
      found = ours('ts-oci-step-').filter((path) => readFileSync(`${path}/cgroup.procs`, 'utf8') !== '')
      return found.length > 0 && files.every((file) => found.some((path) => existsSync(`${path}/${file}`)))
    })
    const values = files.map((file) =>
      readFileSync(`${found.find((path) => existsSync(`${path}/${file}`))}/${file}`, 'utf8').trim(),
    )
    await running
    return values
  }

  test('has the values that were asked for', async () => {
    const values = await duringStep(
      {
        memoryBytes: 64 * MIB,
        memorySwapBytes: 128 * MIB,
        cpuShares: 512,
        cpuQuotaUs: 20_000,
        cpuPeriodUs: 50_000,
        cpusetCpus: '0',
      },
      [
        'memory.limit_in_bytes',
        'memory.memsw.limit_in_bytes',
        'cpu.shares',
        'cpu.cfs_quota_us',
        'cpu.cfs_period_us',
        'cpuset.cpus',
      ],
    )
    expect(values).toEqual(['67108864', '134217728', '512', '20000', '50000', '0'])
  })

  test('that takes more memory than its limit is told to be killed for it', async () => {
    const { exit } = await machine.run({ run: EAT, resources: { memoryBytes: 32 * MIB, memorySwapBytes: 32 * MIB } })
    expect(exit).toEqual({ exitCode: 137, signal: 'SIGKILL', oomKilled: true })
  })

  test('whose shell outlives the process that was killed is told so too', async () => {
    const { exit } = await machine.run({
      run: `sh -c '${EAT}'; code=$?; sleep 0; exit $code`,
      resources: { memoryBytes: 32 * MIB, memorySwapBytes: 32 * MIB },
    })
    expect(exit).toEqual({ exitCode: 137, oomKilled: true })
  })

  test('that is killed for another reason is not', async () => {
    const { exit } = await machine.run({
      run: 'ulimit -t 1; while :; do :; done',
      resources: { memoryBytes: 64 * MIB },
    })
    expect(exit).toEqual({ exitCode: 137, signal: 'SIGKILL', oomKilled: false })
  })

  test('gets no more processor time than its quota', async () => {
    // A tenth of one processor, for as long as its clock runs.
    const { stdout } = await machine.run({
      run: '(while :; do :; done) & sleep 1; kill $!; wait 2>/dev/null; cut -d " " -f 16,17 /proc/1/stat',
      resources: { cpuQuotaUs: 10_000, cpuPeriodUs: 100_000 },
    })
    const ticks = stdout.trim().split(' ').map(Number)
    const [user = 0, system = 0] = ticks
    expect(user + system).toBeGreaterThan(0)
    expect(user + system).toBeLessThan(35)
  })

  test('runs on the processors that it was given alone', async () => {
    const { stdout } = await machine.run({ run: 'nproc', resources: { cpusetCpus: '0' } })
    expect(stdout).toBe('1\n')
  })

  test('sees its own cgroups as the root', async () => {
    const { stdout } = await machine.run({
      run: 'grep -E ":(memory|cpu|cpuset):" /proc/self/cgroup | cut -d: -f3',
      resources: { memoryBytes: 64 * MIB, cpuShares: 100, cpusetCpus: '0' },
    })
    expect(stdout).toBe('/\n/\n/\n')
  })

  test('leaves no cgroup', async () => {
    const before = ours('ts-oci-step-')
    await machine.run({ run: 'true', resources: { memoryBytes: 64 * MIB, cpuShares: 100, cpusetCpus: '0' } })
    expect(ours('ts-oci-step-').filter((path) => !before.includes(path))).toEqual([])
  })

  test('is limited alone: one beside it is not', async () => {
    const [limited, free] = await Promise.all([
      machine.run({ run: EAT, resources: { memoryBytes: 32 * MIB, memorySwapBytes: 32 * MIB } }),
      machine.run({ run: `x=$(head -c ${48 * MIB} /dev/zero | tr '\\0' x); sleep 0.3; echo \${#x}` }),
    ])
    expect([limited.exit?.oomKilled, free.stdout]).toEqual([true, `${48 * MIB}\n`])
  })

  test('lies in the cgroup that was named for it, in every hierarchy', async () => {
    const name = `limits-test-${process.pid}`
    const made = ['memory', 'cpu', 'cpuset', 'pids'].map((controller) => `${root}/${controller}/${name}`)
    for (const path of made) mkdirSync(path)
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      execFileSync('sh', ['-c', `cat ${root}/cpuset/${file} > ${root}/cpuset/${name}/${file}`])
    try {
      const running = machine.run({ run: 'sleep 1', resources: { cgroupParent: `/${name}` }, cancelAfterMs: 500 })
      await expectSoon(() =>
        made.every((path) =>
          readdirSync(path).some(
            (entry) => entry.startsWith('ts-oci-step-') && readFileSync(`${path}/${entry}/cgroup.procs`, 'utf8') !== '',
          ),
        ),
      )
      await running
      expect(made.flatMap((path) => readdirSync(path).filter((entry) => entry.startsWith('ts-oci-')))).toEqual([])
    } finally {
      for (const path of made) rmdirSync(path)
    }
  })

  test('is refused where the named cgroup is none', async () => {
    const { error } = await machine.run({ run: 'true', resources: { cgroupParent: '/not-there' } })
    expect(error).toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      message: expect.stringContaining('find the cgroup /not-there: no such file or directory'),
      hint: expect.stringContaining('make it first'),
    })
  })

  test('is refused with a processor that there is not', async () => {
    const { error } = await machine.run({ run: 'true', resources: { cpusetCpus: '4000' } })
    expect(error).toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      message: expect.stringContaining('write 4000 to cpuset.cpus'),
    })
  })
})

describeVersionOne('the processes of all steps (cgroups of version 1)', () => {
  // What systemd gives a service, and not less than podman gives a container.
  const most = Math.max(
    2048,
    Math.floor(
      Math.min(...['pid_max', 'threads-max'].map((name) => Number(readFileSync(`/proc/sys/kernel/${name}`, 'utf8')))) /
        100,
    ) * 15,
  )

  test('are limited by default, and a fork bomb ends there', async () => {
    await using machine = await startMachine('root')
    const before = ours('ts-oci-pids-')
    expect((await machine.run({ run: 'true' })).exit?.exitCode).toBe(0)
    const [cgroup = ''] = ours('ts-oci-pids-').filter((path) => holds(path, machine))
    expect(readFileSync(`${cgroup}/pids.max`, 'utf8').trim()).toBe(String(most))
    expect(before).toContain(cgroup)
    // Bounded here as well, at twice the limit, should nothing else do it.
    const { stdout, stderr } = await machine.run({
      run: `i=0; while [ $i -lt ${2 * most} ]; do sleep 60 & i=$((i + 1)); done; echo all`,
    })
    expect(stdout).not.toContain('all')
    expect(stderr).toMatch(/can't fork: Resource temporarily unavailable/)
    expect((await machine.run({ run: 'sh -c "echo fine" | cat' })).stdout).toBe('fine\n')
  })

  test('have a cgroup that is gone with the executor', async () => {
    let cgroup = ''
    {
      await using machine = await startMachine('root')
      await machine.run({ run: 'true' })
      cgroup = ours('ts-oci-pids-').find((path) => holds(path, machine)) ?? ''
      expect(existsSync(cgroup)).toBe(true)
    }
    await expectSoon(() => !existsSync(cgroup))
  })

  test('leave no cgroup behind a kill in the middle of a limited step, from the next start on', async () => {
    const killed = await startMachine('root')
    const resources = { memoryBytes: 64 * MIB, cpuShares: 100, cpusetCpus: '0' }
    // It ends with its machine.
    const running = killed.run({ run: 'sleep 60', resources }).catch(() => {})
    let left: string[] = []
    await expectSoon(() => {
      left = [...ours('ts-oci-step-'), ...ours('ts-oci-pids-')].filter((path) => holds(path, killed))
      return left.length === 4
    })
    killed.child.kill('SIGKILL')
    await running
    await killed.directory[Symbol.asyncDispose]()
    await expectSoon(() => left.every((path) => processesOf(path).length === 0))
    await using next = await startMachine('root')
    expect((await next.run({ run: 'true' })).exit?.exitCode).toBe(0)
    await expectSoon(() => left.every((path) => !existsSync(path)))
  })
})

/** None of a cgroup that is gone: those of other tests end meanwhile. */
function processesOf(path: string): readonly string[] {
  try {
    return readFileSync(`${path}/cgroup.procs`, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

/** Whether a process below this machine's is in the cgroup. */
function holds(path: string, machine: Machine): boolean {
  return processesOf(path).some((pid) => {
    for (let at = Number(pid); at > 1;) {
      if (at === machine.child.pid) return true
      try {
        at = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1] ?? 0)
      } catch {
        return false // ended meanwhile
      }
    }
    return false
  })
}

describeWith([...requirementsOf.root, 'unshare', 'mount'], 'a limit where there are no cgroups', () => {
  test('is an error that says so, and steps without one run', async () => {
    await using machine = await startMachine('root', { covered: [root] })
    const { error } = await machine.run({ run: 'true', resources: { memoryBytes: 64 * MIB } })
    expect(error).toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      message: expect.stringContaining('memory: find a cgroup that has it'),
    })
    expect((await machine.run({ run: 'true' })).exit?.exitCode).toBe(0)
  })
})

describeWith(requirementsOf.single, 'a limit for a user whose cgroup is not his', () => {
  test('is an error that says what helps', async () => {
    await using machine = await startMachine('single')
    const { error } = await machine.run({ run: 'true', resources: { memoryBytes: 64 * MIB } })
    expect(error).toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      hint: expect.stringContaining('Delegate=yes'),
    })
    expect((await machine.run({ run: 'true' })).exit?.exitCode).toBe(0)
  })
})

describeWith(requirementsOf.root, 'a limit in isolation chroot', () => {
  test('is refused by name', async () => {
    await using machine = await startMachine('root', { isolation: 'chroot' })
    const { error } = await machine.run({
      run: 'true',
      directoryRoot: machine.rootfs,
      resources: { memoryBytes: 64 * MIB },
    })
    expect(error).toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      message: expect.stringMatching(/steps: isolation chroot makes no cgroups$/),
      hint: expect.stringContaining('limit the container itself'),
    })
  })
})
