import { BuilderError } from '../base/errors.ts'
import { outputs as family, type OutputSpec } from './list.ts'
import type { ExportDefaults, Exporter, PreparedExport } from './types.ts'

/** An output as callers write it, whether it has a meaning or not. */
export type LooseOutput =
  | OutputSpec
  | { readonly type: string; readonly [attribute: string]: string | boolean | undefined }

/**
 * Checks all outputs of a build before anything is built.
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming output and attribute
 */
export async function prepareOutputs(
  outputs: readonly LooseOutput[],
  defaults: ExportDefaults,
): Promise<readonly PreparedExport[]> {
  const exporters = await Promise.all(outputs.map(({ type }) => loadExporter(type)))
  const prepared = outputs.map(({ type, ...attrs }, index) =>
    exporters[index]!.prepare({ type, attrs: asTexts(attrs) }, defaults),
  )
  if (prepared.filter((output) => output.isStdout === true).length > 1) {
    throw new BuilderError('OCI_OPTION_INVALID', 'two outputs cannot both go to standard output', {
      hint: 'give all but one of them dest=FILE',
    })
  }
  for (const output of prepared) await output.check?.()
  return prepared
}

async function loadExporter(type: string): Promise<Exporter> {
  const found = family.find(({ name }) => name === type)
  if (found !== undefined) return (await found.load()).exporter
  throw new BuilderError('OCI_OPTION_INVALID', `unknown output type ${JSON.stringify(type)}`, {
    hint: `one of ${family.map(({ name }) => name).join(', ')}`,
  })
}

function asTexts(attrs: Readonly<Record<string, string | boolean | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attrs).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  )
}
