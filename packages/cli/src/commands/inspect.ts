import type { ImageInspection } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { inspect } from '../flags.ts'
import { renderError } from '../render/errors.ts'
import { jsonText } from '../render/terminal-text.ts'

export const InspectCommand = defineCommand(inspect, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const write = await writerOf(flags.format)
  const texts: string[] = []
  const errors: unknown[] = []
  for (const image of args) {
    try {
      const { store, platform } = flags
      texts.push(write.one(await library.inspect(image, { store, platform, signal: io.signal })))
    } catch (error) {
      errors.push(error)
    }
  }
  // What was found is printed although something else was not: scripts of Docker's users count on it.
  io.stdout.write(write.all(texts))
  for (const error of errors) io.stderr.write(renderError(error, io.isColored))
  return errors.length === 0 ? 0 : 1
})

/** How one image is written, and how all of them. */
interface Writer {
  readonly one: (image: ImageInspection) => string
  readonly all: (texts: readonly string[]) => string
}

async function writerOf(format: string | undefined): Promise<Writer> {
  if (format === undefined || format === '')
    return {
      one: (image) => jsonText([image], 4).slice(2, -2),
      all: (texts) => `[${texts.length === 0 ? '' : `\n${texts.join(',\n')}\n`}]\n`,
    }
  if (format === 'json') return { one: (image) => jsonText(image), all: (texts) => `[${texts.join(',')}]\n` }
  const { compileForInspect } = await import('../go-template/fill-inspection.ts')
  const template = compileForInspect(format)
  // As Docker, a line even of nothing.
  return { one: (image) => `${template(image)}\n`, all: (texts) => texts.join('') || '\n' }
}
