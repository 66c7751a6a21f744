import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export const checkout: string = fileURLToPath(new URL('../../../', import.meta.url))

/** How pipelines and pages name the image of this version. */
export const image = 'registry.example.com/tools/tsbuild:0.1.0'

export interface Container {
  readonly image: string
  readonly args?: readonly string[]
  readonly command?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value: string }[]
  readonly script?: string
}
export interface Pipelines {
  readonly gitlab: {
    readonly build: {
      readonly image: { readonly name: string }
      readonly variables?: Readonly<Record<string, string>>
      readonly script: readonly string[]
    }
  }
  readonly github: {
    readonly jobs: {
      readonly build: {
        readonly container?: string
        readonly env?: Readonly<Record<string, string>>
        readonly steps: readonly {
          readonly name?: string
          readonly run?: string
          readonly env?: Readonly<Record<string, string>>
        }[]
      }
    }
  }
  readonly kubernetes: {
    readonly spec: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } }
  }
  readonly tekton: { readonly spec: { readonly steps: readonly Container[] } }
}

/** @param path below the checkout */
export async function readPipeline<Kind extends keyof Pipelines>(path: string): Promise<Pipelines[Kind]> {
  // It has no types.
  const library: string = 'js-yaml'
  const { load } = (await import(library)) as { load(text: string): unknown }
  return load(await readFile(`${checkout}${path}`, 'utf8')) as Pipelines[Kind]
}

/** Both texts in one, as `diff` shows them whole: a blank, a minus or a plus before each line. */
export function diffOf(before: string, after: string): string {
  const [a, b] = [before, after].map((text) => text.trimEnd().split('\n')) as [string[], string[]]
  // common[i][j]: how many lines the ends from i and from j have in common.
  const common = Array.from({ length: a.length + 1 }, () => b.map(() => 0).concat(0))
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i]![j] = a[i] === b[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!)
  const lines: string[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]]
    const isOld = left !== undefined && (right === undefined || common[i + 1]![j]! >= common[i]![j + 1]!)
    const isSame = left !== undefined && left === right
    lines.push(isSame ? ` ${left}` : isOld ? `-${left}` : `+${right}`)
    if (isSame || isOld) i++
    if (isSame || !isOld) j++
  }
  return `${lines.join('\n')}\n`
}
