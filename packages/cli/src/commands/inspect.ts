import type { ImageInspection } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { inspect } from '../flags.ts'
import { renderError } from '../render/errors.ts'
import { jsonText } from '../render/terminal-text.ts'

export const InspectCommand = defineCommand(inspect, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const found: ImageInspection[] = []
  const errors: unknown[] = []
  for (const image of args) {
    try {
      found.push(await library.inspect(image, { store: flags.store, platform: flags.platform, signal: io.signal }))
    } catch (error) {
      errors.push(error)
    }
  }
  // What was found is printed although something else was not: scripts of Docker's users count on it.
  io.stdout.write(await render(found, flags.format))
  for (const error of errors) io.stderr.write(renderError(error, io.isColored))
  return errors.length === 0 ? 0 : 1
})

async function render(found: readonly ImageInspection[], format: string | undefined): Promise<string> {
  if (format === undefined || format === '') return `${jsonText(found, 4)}\n`
  if (format === 'json') return `${jsonText(found)}\n`
  const [{ compileTemplate }, { inspectionType }] = await Promise.all([
    import('../go-template/fill-template.ts'),
    import('../go-template/inspection-type.ts'),
  ])
  const template = compileTemplate(format)
  return found.map((one) => `${template(one, { type: inspectionType, raw: one })}\n`).join('')
}
