import { registryOptions } from '../../common-options.ts'
import { defineCommand } from '../../define-command.ts'
import { imagetoolsCreate } from '../../flags.ts'
import { withProgress } from '../../render/with-progress.ts'
import { UsageError } from '../../usage-error.ts'

export const ImagetoolsCreateCommand = defineCommand(imagetoolsCreate, async ({ args, flags }, io) => {
  const { checkAnswerFile, writeAnswer } = await import('../../build/answer-file.ts')
  const { annotations } = await import('../../build/options.ts')
  const sources = [...(await Promise.all(flags.file.map(readSource))), ...args]
  const metadataFile = flags['metadata-file']
  const answer = metadataFile === undefined ? undefined : { what: 'metadata', path: metadataFile }
  if (answer !== undefined) await checkAnswerFile(answer)
  const library = await import('@ts-oci/builder')
  const options = {
    store: flags.store,
    signal: io.signal,
    ...registryOptions(flags),
    tags: flags.tag,
    append: flags.append,
    isDryRun: flags['dry-run'],
    annotations: annotations(flags.annotation),
    platforms: flags.platform,
    preferIndex: flags['prefer-index'],
  }
  const joined = await withProgress({ progress: flags.progress, quiet: false }, 'Pushing', io, (onProgress) =>
    library.joinImages(sources, { ...options, onProgress }),
  )
  // As buildx: the document and a line feed, which is none of its bytes.
  if (flags['dry-run']) io.stdout.write(`${Buffer.from(joined.bytes).toString('utf8')}\n`)
  const metadata = {
    'containerimage.descriptor': joined.descriptor,
    'containerimage.digest': joined.digest,
    'image.name': joined.names.join(','),
  }
  if (answer !== undefined) await writeAnswer(answer, `${JSON.stringify(metadata, null, 2)}\n`)
  return 0
})

/** Larger than any descriptor. */
const maxSourceBytes = 4 * 1024 * 1024

async function readSource(path: string): Promise<string> {
  try {
    const { readFile } = process.getBuiltinModule('node:fs/promises')
    const text = await readFile(path, 'utf8')
    if (text.length > maxSourceBytes) throw new Error('it is too large for a descriptor')
    return text.trim()
  } catch (error) {
    throw new UsageError(`--file ${path}: ${(error as Error).message}`, { exitCode: 1 })
  }
}
