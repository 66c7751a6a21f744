import { text, type Metadata } from './metadata.ts'

/** Texts by key that outlive a build. */
export interface Facts {
  getFact(key: string): string | undefined
  putFact(key: string, value: string): void
}

export function createFacts(metadata: Metadata): Facts {
  return {
    getFact(key) {
      const row = metadata.get('SELECT value FROM facts WHERE key = ?', key)
      return row === undefined ? undefined : text(row, 'value')
    },
    putFact(key, value) {
      metadata.run(
        'INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
        key,
        value,
      )
    },
  }
}
