import { BuilderError } from '../base/errors.ts'
import { EXPORTERS } from './list.ts'
import type { OutputSpec } from './output-spec.ts'
import type { ExportDefaults, PreparedExport } from './types.ts'

/** An output as callers write it, whether it has a meaning or not. */
export type LooseOutput =
  | OutputSpec
  | { readonly type: string; readonly [attribute: string]: string | boolean | undefined }

/**
 * Checks all outputs of a build before anything is built.
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming output and attribute
 */
export function prepareOutputs(outputs: readonly LooseOutput[], defaults: ExportDefaults): readonly PreparedExport[] {
  const prepared = outputs.map(({ type, ...attrs }) =>
    findExporter(type).prepare({ type, attrs: asTexts(attrs) }, defaults),
  )
  if (prepared.filter((output) => output.isStdout === true).length > 1) {
    throw new BuilderError('OCI_OPTION_INVALID', 'two outputs cannot both go to standard output', {
      hint: 'give all but one of them dest=FILE',
    })
  }
  return prepared
}

function findExporter(type: string): (typeof EXPORTERS)[number] {
  const found = EXPORTERS.find((exporter) => exporter.type === type)
  if (found !== undefined) return found
  throw new BuilderError('OCI_OPTION_INVALID', `unknown output type ${JSON.stringify(type)}`, {
    hint: `one of ${EXPORTERS.map((exporter) => exporter.type).join(', ')}`,
  })
}

function asTexts(attrs: Readonly<Record<string, string | boolean | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attrs).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  )
}
