import { spawn } from 'node:child_process'
import { BuilderError } from '../../base/errors.ts'
import { canonicalName } from '../../oci/reference.ts'
import { archiveImages } from '../archive/docker-archive.ts'
import { openArchive } from '../archive/open.ts'
import { writeImageArchive } from '../archive/write.ts'
import { writtenImage } from '../layout/layout-files.ts'
import type { Transport, TransportContext } from '../types.ts'

/** How a program copies between the storage and an archive, the best first: skopeo keeps every byte. */
const PROGRAMS = [
  {
    name: 'skopeo',
    in: (archive: string, name: string) => [
      'copy',
      '-q',
      '--preserve-digests',
      `oci-archive:${archive}`,
      `containers-storage:${name}`,
    ],
    out: (archive: string, name: string) => [
      'copy',
      '-q',
      `containers-storage:${name}`,
      `oci-archive:${archive}:${name}`,
    ],
  },
  {
    name: 'buildah',
    in: (archive: string, name: string) => ['pull', '-q', `oci-archive:${archive}:${name}`],
    out: (archive: string, name: string) => ['push', '-q', name, `oci-archive:${archive}:${name}`],
  },
  {
    name: 'podman',
    in: (archive: string) => ['load', '-q', '-i', archive],
    out: (archive: string, name: string) => ['save', '-q', '--format', 'oci-archive', '-o', archive, name],
  },
] as const

/**
 * `containers-storage:NAME`: the storage of Podman and buildah. Its format belongs to a library that changes it, so one of
 * the programs that are made with it reads and writes it; what passes between them is an archive in the store's `tmp/`.
 */
export const transport: Transport = {
  async open(rest, _options, context) {
    const name = checkRest(rest)
    const directory = await context.temporaryDirectory('storage')
    const archive = `${directory.path}/image.tar`
    await runFirst((program) => program.out(archive, name), context)
    const files = await openArchive(archive, context)
    const images = await archiveImages(files, context)
    return { images: images.slice(0, 1), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() }
  },
  async target(rest, _options, context) {
    const name = canonicalName(checkRest(rest))
    return {
      takesIndex: false,
      wantsCompressed: false,
      async write([bundle]) {
        const named = { ...bundle!, names: [name] }
        const directory = await context.temporaryDirectory('storage')
        const archive = `${directory.path}/image.tar`
        await writeImageArchive(archive, [named], { isDocker: false, word: name }, context)
        await runFirst((program) => program.in(archive, name), context)
        return [writtenImage(named)]
      },
    }
  },
}

function checkRest(rest: string): string {
  if (!rest.startsWith('[') && rest !== '') return rest
  throw new BuilderError('OCI_OPTION_UNSUPPORTED', `containers-storage:${rest}: a storage of its own cannot be named`, {
    hint: 'containers-storage:NAME means the one that storage.conf names; skopeo copy takes others',
  })
}

/** The first of the programs that is installed. @throws OCI_ENGINE_UNREACHABLE, OCI_ENGINE_FAILED in its words */
async function runFirst(
  words: (program: (typeof PROGRAMS)[number]) => readonly string[],
  context: TransportContext,
): Promise<void> {
  for (const program of PROGRAMS) if (await run(program.name, words(program), context)) return
  throw new BuilderError(
    'OCI_ENGINE_UNREACHABLE',
    'containers-storage: needs skopeo, buildah or podman, and none is installed',
    {
      hint: 'install one of them, or write a file: oci-archive:FILE',
    },
  )
}

/** False where it is not installed. */
async function run(program: string, words: readonly string[], { signal }: TransportContext): Promise<boolean> {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'], signal })
  let message = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (message = (message + text).slice(-2000)))
  const status = await new Promise<number | null | Error>((resolve) => {
    child.on('error', resolve)
    child.on('close', resolve)
  })
  signal.throwIfAborted()
  if (status === 0) return true
  if (status instanceof Error && (status as NodeJS.ErrnoException).code === 'ENOENT') return false
  throw new BuilderError('OCI_ENGINE_FAILED', `${program} failed: ${message.trim().split('\n').at(-1) ?? ''}`)
}
