import { registryOptions } from '../../common-options.ts'
import { defineCommand } from '../../define-command.ts'
import { cacheMountsLs } from '../../flags.ts'
import { renderTable } from '../../render/table.ts'
import { ageOf, humanSize } from '../../render/units.ts'
import { placeOf } from './place.ts'

export const CacheMountsLsCommand = defineCommand(cacheMountsLs, async ({ flags }, io) => {
  const library = await import('@ts-oci/builder')
  const options = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const nowMs = Date.now()
  const rows: (readonly string[])[] = []
  if (flags.from === undefined) {
    rows.push(['ID', 'SIZE', 'LAST USED', 'USES', 'TRAVELS'])
    for (const { id, sizeBytes, usedMs, usageCount, isKept } of await library.cacheMounts(options))
      rows.push([id, humanSize(sizeBytes), ageOf(usedMs, nowMs), String(usageCount), isKept ? 'no' : 'yes'])
  } else {
    rows.push(['ID', 'SIZE', 'PACKED', 'LAST USED'])
    for (const { id, sizeBytes, packedBytes, usedMs } of await library.carriedCacheMounts(
      placeOf(flags.from, 'from'),
      options,
    ))
      rows.push([id, humanSize(sizeBytes), humanSize(packedBytes), ageOf(usedMs, nowMs)])
  }
  io.stdout.write(
    flags.quiet
      ? rows
          .slice(1)
          .map(([id]) => `${id}\n`)
          .join('')
      : renderTable(rows),
  )
  return 0
})
