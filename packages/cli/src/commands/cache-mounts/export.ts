import { registryOptions } from '../../common-options.ts'
import { defineCommand } from '../../define-command.ts'
import { cacheMountsExport } from '../../flags.ts'
import { withProgress } from '../../render/with-progress.ts'
import { placeOf } from './place.ts'

export const CacheMountsExportCommand = defineCommand(cacheMountsExport, async ({ args, flags }, io) => {
  const place = placeOf(flags.to, 'to')
  const library = await import('@ts-oci/builder')
  const options = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const ids = await withProgress(flags, 'Exporting', io, (onProgress) =>
    library.exportCacheMounts(args, place, { ...options, onProgress }),
  )
  io.stdout.write(ids.map((id) => `${id}\n`).join(''))
  return 0
})
