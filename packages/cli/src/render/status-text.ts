import type { StatusEvent } from '@ts-oci/builder'
import { transferSize } from './units.ts'

/** `1.05MB / 3.50MB`, `312B`, or nothing where nothing is counted. */
export function statusAmount(status: StatusEvent): string {
  const current = status.current ?? 0
  if (status.total !== undefined && status.total !== 0)
    return `${transferSize(current)} / ${transferSize(status.total)}`
  return current === 0 ? '' : transferSize(current)
}

export function statusName(status: StatusEvent): string {
  return status.text === '' ? status.id : status.text
}
