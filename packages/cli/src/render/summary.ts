import type { BuildSummary, SummaryStep } from '@ts-oci/builder'
import { nameLine } from './terminal-text.ts'
import { transferSize } from './units.ts'

/** What a build spent its time on, for people: `--summary`. */
export function renderSummary(summary: BuildSummary): string {
  const { durationMs, ranCount, cached, cachedFrom = {}, fetchedBytes, sentBytes, slowest, criticalPath } = summary
  const moved = `fetched ${transferSize(fetchedBytes)}, sent ${transferSize(sentBytes)}`
  return [
    `\nSummary: ${seconds(durationMs)}, ${ranCount} ran, ${cached.length} cached, ${moved}\n`,
    stepsTable('Slowest', slowest),
    stepsTable('Critical path', criticalPath),
    cached.length === 0
      ? ''
      : ` Cached:\n${cached.map((name) => `   ${nameLine(name)}${originOf(cachedFrom[name])}\n`).join('')}`,
  ].join('')
}

function originOf(cache: string | undefined): string {
  return cache === undefined ? '' : ` (from ${nameLine(cache)})`
}

function stepsTable(title: string, steps: readonly SummaryStep[]): string {
  if (steps.length === 0) return ''
  const times = steps.map((step) => seconds(step.durationMs))
  const width = Math.max(...times.map((time) => time.length))
  const lines = steps.map(({ name }, index) => `   ${(times[index] ?? '').padStart(width)}  ${nameLine(name)}\n`)
  return ` ${title}:\n${lines.join('')}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)}s`
}
