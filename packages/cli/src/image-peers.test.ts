import { chmodSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { findTool, runTool, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { tsbuild, writeContext } from './tsbuild.test.helper.ts'

/**
 * Other tools read what we wrote, and we read what they wrote. `PEERS_EXEC` is put before each of their commands, where they
 * live in a root of their own; what does not answer on this machine is skipped and named.
 */
const prefix = (process.env['PEERS_EXEC'] ?? '').split(' ').filter((word) => word !== '')

/** How each is asked whether it works here. */
const probes: Readonly<Record<string, readonly string[]>> = {
  docker: ['info'],
  podman: ['info'],
  buildah: ['images'],
  skopeo: ['--version'],
  crane: ['version'],
  umoci: ['--version'],
  apptainer: ['--version'],
}

interface Row {
  readonly peer: string
  readonly what: string
  /** The commands of the peer; `{}` is the directory. */
  readonly commands: readonly (readonly string[])[]
  /** What it wrote, where we read it. */
  readonly loads?: string
  /** It writes the config anew, so that the image has another id. */
  readonly isRewritten?: boolean
}

const rows: readonly Row[] = [
  { peer: 'docker', what: 'loads our archive', commands: [['load', '-i', '{}/docker.tar']] },
  { peer: 'podman', what: 'loads our archive', commands: [['load', '-q', '-i', '{}/docker.tar']] },
  { peer: 'podman', what: 'loads our OCI archive', commands: [['load', '-q', '-i', '{}/oci.tar']] },
  { peer: 'podman', what: 'loads our layout', commands: [['load', '-q', '-i', '{}/layout']] },
  { peer: 'podman', what: 'loads our docker-dir', commands: [['load', '-q', '-i', '{}/dir']] },
  { peer: 'buildah', what: 'pulls our archive', commands: [['pull', '-q', 'docker-archive:{}/docker.tar']] },
  { peer: 'buildah', what: 'pulls our OCI archive', commands: [['pull', '-q', 'oci-archive:{}/oci.tar']] },
  ...['docker-archive:{}/docker.tar', 'oci-archive:{}/oci.tar', 'oci:{}/layout:1', 'dir:{}/dir'].map(
    (place, index) => ({
      peer: 'skopeo',
      what: `copies our ${place.split(':')[0]}`,
      commands: [['copy', '-q', place, `dir:{}/copied-${index}`]],
    }),
  ),
  { peer: 'crane', what: 'validates our archive', commands: [['validate', '--tarball', '{}/docker.tar']] },
  {
    peer: 'umoci',
    what: 'unpacks our layout',
    commands: [['unpack', '--rootless', '--image', '{}/layout:1', '{}/bundle']],
  },
  {
    peer: 'apptainer',
    what: 'builds from our archive',
    commands: [['build', '{}/a.sif', 'docker-archive:{}/docker.tar']],
  },
  {
    peer: 'apptainer',
    what: 'builds from our OCI archive',
    commands: [['build', '{}/b.sif', 'oci-archive:{}/oci.tar']],
  },
  {
    peer: 'docker',
    what: 'saves what we load',
    commands: [
      ['load', '-i', '{}/docker.tar'],
      ['save', '-o', '{}/by-docker.tar', 'peers-app:1'],
    ],
    loads: 'by-docker.tar',
  },
  ...['docker-archive', 'oci-archive', 'oci-dir', 'docker-dir'].map((format) => ({
    peer: 'podman',
    what: `saves ${format}, which we load`,
    commands: [
      ['load', '-q', '-i', '{}/docker.tar'],
      ['save', '-q', '--format', format, '-o', `{}/by-podman-${format}`, 'docker.io/library/peers-app:1'],
    ],
    loads: `by-podman-${format}`,
  })),
  ...['docker-archive', 'oci-archive'].map((format) => ({
    peer: 'buildah',
    what: `pushes ${format}, which we load`,
    commands: [
      ['pull', '-q', 'docker-archive:{}/docker.tar'],
      ['push', '-q', 'docker.io/library/peers-app:1', `${format}:{}/by-buildah-${format}:peers-app:1`],
    ],
    loads: `by-buildah-${format}`,
    // An image of Docker's kind becomes one of OCI's.
    isRewritten: format === 'oci-archive',
  })),
  ...['docker-archive', 'oci-archive', 'oci', 'dir'].map((transport) => ({
    peer: 'skopeo',
    what: `copies to ${transport}:, which we load`,
    commands: [['copy', '-q', 'oci:{}/layout:1', `${transport}:{}/by-skopeo-${transport}`]],
    loads: `by-skopeo-${transport}`,
  })),
]

let directory: TemporaryDirectory | undefined
let id = ''

beforeAll(async () => {
  const made = await temporaryDirectory()
  directory = made
  chmodSync(made.path, 0o755)
  const context = await writeContext(made, {
    Dockerfile: 'FROM scratch\nCOPY a /bin/sh\nCOPY . /app/\nCMD ["/bin/sh"]\n',
    a: 'a',
  })
  id = (await tsbuild(made, ['-q', '-t', 'peers-app:1', context])).stdout.trim()
  for (const [output, format] of [
    ['docker.tar', 'docker-archive'],
    ['oci.tar', 'oci-archive'],
    ['layout', 'oci-dir'],
    ['dir', 'docker-dir'],
  ])
    await tsbuild(made, ['save', '--format', format!, '-o', output!, 'peers-app:1'])
}, 60_000)

afterAll(async () => {
  for (const [peer, words] of [
    ['docker', ['rmi', 'peers-app:1']],
    ['podman', ['rmi', 'docker.io/library/peers-app:1']],
  ] as const)
    if (answers.get(peer) === true) await ask(peer, words)
  await directory?.[Symbol.asyncDispose]()
})

function ask(peer: string, words: readonly string[]): ReturnType<typeof runTool> {
  const [tool, ...more] = [...prefix, peer]
  return runTool(tool, [...more, ...words.map((word) => word.replaceAll('{}', directory?.path ?? ''))])
}

const answers = new Map<string, boolean>()
for (const [peer, words] of Object.entries(probes)) {
  const isThere = prefix.length > 0 || findTool(peer) !== undefined
  answers.set(peer, isThere && (await ask(peer, words).catch(() => ({ status: 1 }))).status === 0)
}

describe.each([...answers])('%s (answers: %s)', (peer, isThere) => {
  const own = rows.filter((row) => row.peer === peer)
  const run = isThere ? test : test.skip
  run.each(
    own.map((row) => [isThere ? row.what : `${row.what} [skipped, ${peer} does not answer here]`, row] as const),
  )(
    '%s',
    async (_, { commands, loads, isRewritten }) => {
      for (const words of commands) expect(await ask(peer, words)).toMatchObject({ status: 0 })
      if (loads === undefined) return
      const home = directory!
      const env = { TSBUILD_HOME: home.join(`store-${loads}`) }
      expect((await tsbuild(home, ['load', '-i', loads], { env })).status).toBe(0)
      expect((await tsbuild(home, ['images', '-q', '--no-trunc'], { env })).stdout).toContain(
        isRewritten === true ? 'sha256:' : id,
      )
    },
    60_000,
  )
})
