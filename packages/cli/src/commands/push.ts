import type { PushOutcome } from '@ts-oci/builder'
import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { push } from '../flags.ts'
import { imageWord } from '../image-word.ts'
import { withProgress } from '../render/with-progress.ts'
import { UsageError } from '../usage-error.ts'

const toElsewhere = 'tsbuild copy store:NAME TARGET'

export const PushCommand = defineCommand(push, async ({ args, flags }, io) => {
  const [image = '', ...targets] = args
  const words = [image, ...targets].map((word) => imageWord(word, toElsewhere))
  if (flags['all-tags']) checkAllTags(words, flags.digestfile)
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const names = flags['all-tags'] ? await tagsOf(words[0] ?? '', common) : [words[0] ?? '']
  const { platform } = flags
  const outcomes = await withProgress(flags, 'Pushing', io, async (onProgress) => {
    const pushed: PushOutcome[] = []
    for (const name of names)
      pushed.push(await library.push(name, { ...common, onProgress, destination: words[1], platform }))
    return pushed
  })
  if (flags.digestfile !== undefined) {
    const { writeAnswer } = await import('../build/answer-file.ts')
    await writeAnswer({ what: 'digest', path: flags.digestfile }, outcomes[0]?.digest ?? '')
  }
  if (flags.quiet) io.stdout.write(`${flags['all-tags'] ? words[0] : outcomes[0]?.name}\n`)
  else for (const outcome of outcomes) io.stdout.write(lineOf(outcome))
  return 0
})

function lineOf({ name, digest, sizeBytes }: PushOutcome): string {
  const tag = /:([^:/]+)$/.exec(name.replace(/@.*/, ''))?.[1] ?? 'latest'
  return `${tag}: digest: ${digest} size: ${sizeBytes}\n`
}

/** As Docker: a name without a tag, and nothing that is about one image. @throws UsageError */
function checkAllTags(words: readonly string[], digestFile: string | undefined): void {
  if (words.length > 1 || digestFile !== undefined)
    throw new UsageError('--all-tags is about one name, each tag of which has a digest of its own', {
      hint: 'tsbuild push --all-tags NAME',
    })
  if (/[:@][^/]*$/.test(words[0] ?? ''))
    throw new UsageError("tag can't be used with --all-tags/-a", { hint: 'name the repository alone', exitCode: 1 })
}

async function tagsOf(repository: string, common: { readonly store: string | undefined }): Promise<readonly string[]> {
  const { images, BuilderError } = await import('@ts-oci/builder')
  const found = (await images({ store: common.store })).filter((one) => one.repository === familiar(repository))
  if (found.length > 0) return found.map(({ tag }) => `${repository}:${tag}`).toSorted()
  throw new BuilderError('OCI_IMAGE_NOT_FOUND', `An image does not exist locally with the tag: ${repository}`, {
    hint: 'tsbuild images lists what is there',
  })
}

/** As `images` shows it. */
function familiar(repository: string): string {
  return repository.replace(/^(?:index\.)?docker\.io\/(?:library\/)?/, '')
}
