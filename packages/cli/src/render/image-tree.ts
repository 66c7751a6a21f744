import { styleText } from 'node:util'
import type { ImageSummary } from '@ts-oci/builder'
import { shortId } from './ids.ts'
import { nameLine } from './terminal-text.ts'
import { humanSize } from './units.ts'

interface Row {
  readonly name: string
  /** Missing in the lines of further names. */
  readonly cells?: readonly [id: string, disk: string, content: string]
  readonly kind: 'name' | 'here' | 'elsewhere'
}

const HEADERS = ['IMAGE', 'ID', 'DISK USAGE', 'CONTENT SIZE', 'EXTRA'] as const
const GAP = '   '

/**
 * Images with the platforms below them, as `docker images --tree` prints them; a terminal shows dimly what is not here.
 * @param images with their platforms; names of one image are shown together
 */
export function renderImageTree(images: readonly ImageSummary[], isColored: boolean): string {
  const groups = Map.groupBy(images, ({ id }) => id)
  const blocks = [...groups.values()].map(rowsOf)
  const rows = blocks.flat()
  const width = Math.max(HEADERS[0].length, ...rows.map(({ name }) => Array.from(name).length))
  const idWidth = Math.max(12, ...rows.map(({ cells }) => cells?.[0].length ?? 0))
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    isColored ? styleText(style, text, { validateStream: false }) : text
  const lineOf = ({ name, cells, kind }: Row): string => {
    const style = kind === 'name' ? 'bold' : kind === 'elsewhere' ? 'dim' : undefined
    const shown = style === undefined ? name : paint(style, name)
    if (cells === undefined) return shown
    const [id, disk, content] = cells
    const padding = ' '.repeat(width - Array.from(name).length)
    const numbers = [id.padEnd(idWidth), disk.padStart(HEADERS[2].length), content.padStart(HEADERS[3].length)]
    const texts = kind === 'elsewhere' ? numbers.map((text) => paint('dim', text)) : numbers
    return [shown + padding, ...texts].join(GAP)
  }
  const head = [HEADERS[0].padEnd(width), HEADERS[1].padEnd(idWidth), ...HEADERS.slice(2)]
  const lines = blocks.map((block) => `${block.map((row) => `${lineOf(row)}\n`).join('')}\n`)
  return `${head.map((text) => text.replace(/\S.*\S|\S/, (word) => paint('bold', word))).join(GAP)}\n${lines.join('')}`
}

function rowsOf(images: readonly ImageSummary[]): readonly Row[] {
  const [image] = images
  const names = images.map(nameOf).toSorted((a, b) => (a < b ? -1 : 1))
  const platforms = image?.platforms ?? []
  const contents = new Map(platforms.flatMap((one) => one.contents).map((one) => [one.digest, one.sizeBytes] as const))
  const contentBytes = [...contents.values()].reduce((sum, size) => sum + size, 0)
  const treeBytes = platforms.reduce((sum, one) => sum + one.treeBytes, 0)
  const cells = cellsOf(image?.id ?? '', contentBytes, treeBytes)
  return [
    ...names.map((name, at): Row => ({ name, kind: 'name', ...(at === names.length - 1 ? { cells } : {}) })),
    ...platforms.map(({ platform, digest, isHere, contents: own, treeBytes: trees }, at): Row => ({
      name: `${at === platforms.length - 1 ? '└─' : '├─'} ${nameLine(platform)}`,
      kind: isHere ? 'here' : 'elsewhere',
      cells: cellsOf(
        digest,
        own.reduce((sum, one) => sum + one.sizeBytes, 0),
        trees,
      ),
    })),
  ]
}

function cellsOf(id: string, contentBytes: number, treeBytes: number): readonly [string, string, string] {
  return [shortId(id), humanSize(contentBytes + treeBytes), humanSize(contentBytes)]
}

function nameOf({ repository, tag }: ImageSummary): string {
  return nameLine(repository === '<none>' ? '<untagged>' : `${repository}:${tag}`)
}
