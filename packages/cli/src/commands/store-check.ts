import { defineCommand } from '../define-command.ts'
import { storeCheck } from '../flags.ts'
import { renderListing } from '../render/listing.ts'

const columns = [
  { header: 'WHAT', field: 'Kind' },
  { header: 'REPAIRED', field: 'Repaired' },
  { header: 'NAME', field: 'Name' },
  { header: 'PROBLEM', field: 'Problem' },
] as const

export const StoreCheckCommand = defineCommand(storeCheck, async ({ flags }, io) => {
  const library = await import('@ts-oci/builder')
  const report = await library.checkStore({ store: flags.store, repair: flags.repair, signal: io.signal })
  const rows = report.damages.map(({ kind, name, problem, isRepaired, of = '' }) => ({
    Kind: kind,
    Name: name,
    Of: of,
    Problem: problem,
    Repaired: isRepaired ? 'yes' : 'no',
  }))
  const { format } = flags
  if (rows.length > 0 || format !== undefined)
    io.stdout.write(await renderListing(rows, { columns, format, only: undefined, type: 'damage' }))
  const { blobs, layers, images } = report.checked
  if (format === undefined)
    io.stdout.write(`Checked ${blobs} blobs, ${layers} layers, ${images} images: ${verdict(rows.length)}\n`)
  const isLeft = report.damages.some(({ isRepaired }) => !isRepaired)
  if (isLeft && !flags.repair)
    io.stderr.write('tsbuild store check --repair drops what is damaged: builds make or fetch it again\n')
  return isLeft ? 1 : 0
})

function verdict(count: number): string {
  return count === 0 ? 'all is well' : `${count} ${count === 1 ? 'is' : 'are'} damaged`
}
