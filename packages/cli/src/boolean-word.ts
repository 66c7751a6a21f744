/**
 * The spellings of Go's strconv.ParseBool, which Docker's command line takes; undefined for what is none of them. Not the
 * builder's reader: no part of the library is loaded to read a command line.
 */
export function booleanWord(value: string): 'true' | 'false' | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return 'true'
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value) ? 'false' : undefined
}
