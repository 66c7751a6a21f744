import { BuilderError, isTsOciError } from '../base/errors.ts'

/**
 * What is needed of a layer is in no form at hand: pruned, of another boot, of another kind of isolation. Whoever runs
 * vertices lets go of its locks, has the layer's producer run again, and tries again.
 */
export function missingForm(layerId: string, message: string, hint?: string): BuilderError {
  return new BuilderError('OCI_BLOB_NOT_FOUND', message, {
    hint: hint ?? 'another process may have pruned it: build again',
    details: { missingLayer: layerId },
  })
}

/** The layer that is missing, where that is what an error says. */
export function missingLayerOf(error: unknown): string | undefined {
  const id = isTsOciError(error) ? error.details['missingLayer'] : undefined
  return typeof id === 'string' ? id : undefined
}
