import { compileTemplate, type Template } from './fill-template.ts'
import { inspectionType } from './inspection-type.ts'

/** A template for what `inspect` says of an image: with the types that Docker has for it, else as JSON. @throws UsageError */
export function compileForInspect(text: string): Template {
  const template = compileTemplate(text)
  return (one) => template(one, { type: inspectionType, raw: one })
}

/** The same at once. */
export function fillAsInspect(text: string, one: unknown): string {
  return compileForInspect(text)(one)
}
