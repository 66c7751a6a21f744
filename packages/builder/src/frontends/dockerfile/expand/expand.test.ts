import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { createEnvironment, expandWord, expandWords } from './expand.ts'
import { type ExpandOptions } from './types.ts'

// Results and messages as the docker CLI's BuildKit gave them for `LABEL r=WORD` below this ENV.
const environment = createEnvironment(['A=aval', 'E=', 'P=/x/y/z.tar.gz', 'B=b c'])

const RESULTS: [word: string, result: string][] = [
  ['${A}x', 'avalx'],
  ['$A$B', 'avalb c'],
  ['${U:-d}', 'd'],
  ['${E:-d}', 'd'],
  ['${E-d}', ''],
  ['${U-d}', 'd'],
  ['${A:+s}', 's'],
  ['${U:+s}t', 't'],
  ['${E:+s}t', 't'],
  ['${E+s}t', 'st'],
  ['${A:?m}', 'aval'],
  ['${P#*/}', 'x/y/z.tar.gz'],
  ['${P##*/}', 'z.tar.gz'],
  ['${P%.*}', '/x/y/z.tar'],
  ['${P%%.*}', '/x/y/z'],
  ['${P/\\//_}', '_x/y/z.tar.gz'],
  ['${P//\\//_}', '_x_y_z.tar.gz'],
  ['${P//?/$}', '$$$$$$$$$$$$$'],
  ['${A//a/\\$0}', '\\av\\al'],
  ['${A//*/x}', 'x'],
  ["'$A'", '$A'],
  ['"$A"', 'aval'],
  ['\\$A', '$A'],
  ['"\\$A"', '$A'],
  ['a\\ b', 'a b'],
  ['"a b"c', 'a bc'],
  ['${U:-${A:-q}z}', 'avalz'],
  ['$', '$'],
  ['$$', ''],
  ['$1', ''],
  ['${1}', ''],
  ['$0x', 'x'],
  ['"${U:-a b}"', 'a b'],
  ['${U:-"a b"}', 'a b'],
  ["${U:-'q'}", 'q'],
  ['a"b"\'c\'', 'abc'],
  ['$한국', ''],
  ['${B}', 'b c'],
  ['$B"$B"', 'b cb c'],
  ['\\\\', '\\'],
  ['x\\', 'x'],
  ['${A#a*}', 'val'],
  ['${P%%\\*}', '/x/y/z.tar.gz'],
  ['${A/[a]/x}', 'aval'],
  ['${A-}', 'aval'],
  ['<<EOF', '<<EOF'],
  ['a${U:-b}c${A}', 'abcaval'],
]

const ERRORS: [word: string, message: string][] = [
  ['${U:?m}', 'failed to process "${U:?m}": U: m'],
  ['${U?}', 'failed to process "${U?}": U: is not allowed to be unset'],
  ['${E:?}', 'failed to process "${E:?}": E: is not allowed to be empty'],
  ['${A', 'failed to process "${A": unsupported modifier (\ufffd) in substitution'],
  ['${', 'failed to process "${": syntax error: missing \'}\''],
  ['${}', 'failed to process "${}": syntax error: bad substitution'],
  ['${#A}', 'failed to process "${#A}": unsupported modifier (A) in substitution'],
  ['${A:x}', 'failed to process "${A:x}": unsupported modifier (:x) in substitution'],
  ['${A=q}', 'failed to process "${A=q}": unsupported modifier (=) in substitution'],
  ['${A!}', 'failed to process "${A!}": unsupported modifier (!) in substitution'],
  ['${P#\\x}', 'failed to process "${P#\\\\x}": invalid pattern (\\x) in substitution: invalid escape \'\\x\''],
  ['"un', 'failed to process "\\"un": unexpected end of statement while looking for matching double-quote'],
  ["'un", 'failed to process "\'un": unexpected end of statement while looking for matching single-quote'],
  ['${A/a}', 'failed to process "${A/a}": syntax error: missing \'/\' in ${}'],
  ['${A//}', 'failed to process "${A//}": syntax error: missing \'/\' in ${}'],
  ['${A:#a}', 'failed to process "${A:#a}": unsupported modifier (:#) in substitution'],
  ['${A/b', 'failed to process "${A/b": syntax error: missing \'/\' in ${}'],
  ['${A-', 'failed to process "${A-": syntax error: missing \'}\''],
  ['"${A-"', 'failed to process "\\"${A-\\"": syntax error: missing \'}\''],
]

function expand(word: string, options: ExpandOptions = {}): string {
  return expandWord(word, environment, options).text
}

describe('expandWord', () => {
  test.each(RESULTS)('%s is expanded as BuildKit does', (word, result) => {
    expect(expand(word)).toBe(result)
  })

  test.each(ERRORS)('%s is refused in the words of BuildKit', (word, message) => {
    expect(() => expand(word)).toThrow(expect.objectContaining({ code: 'OCI_DOCKERFILE_INVALID', message }))
  })

  test('the names that were looked up are told, found or not', () => {
    const { matched, unmatched } = expandWord('${A:+$X}${B}$Y', environment)
    expect([...matched]).toEqual(['A', 'B'])
    expect([...unmatched]).toEqual(['X', 'Y'])
  })

  test('a backtick escapes where it is the escape character, and a backslash does not', () => {
    expect(expand('`$A \\$A', { escape: '`' })).toBe('$A \\aval')
  })

  test('quotes and escapes are kept when asked for', () => {
    expect(expand('"$A" \'b\' \\c', { rawQuotes: true, rawEscapes: true })).toBe('"aval" \'b\' \\c')
  })

  test('quotes are ordinary characters when they are to be ignored, and an escape still protects a dollar', () => {
    expect(expand('it\'s "$A" \\$A', { ignoreQuotes: true })).toBe(`it's "aval" $A`)
  })

  test('unset variables stay as they are written when asked for', () => {
    expect(expand('$U ${U} ${U:-x} ${U/a/b} $A', { keepUnset: true })).toBe('$U ${U} ${U:-x} ${U/a/b} aval')
  })

  test('a byte order mark at the beginning of a word is dropped', () => {
    expect(expand('\ufeff$A')).toBe('aval')
  })

  test('letters and digits beyond ASCII belong to a name', () => {
    expect(expandWord('$größe٣ ${größe٣}', createEnvironment(['größe٣=1'])).text).toBe('1 1')
  })

  test('words nested far deeper than anybody writes are expanded', () => {
    const depth = 20_000
    expect(expand('${U:-'.repeat(depth) + 'x' + '}'.repeat(depth))).toBe('x')
    expect(expand('"${U:-'.repeat(depth) + 'x' + '}"'.repeat(depth))).toBe('x')
    expect(expand('${A/'.repeat(depth) + 'x' + '/y}'.repeat(depth))).toBe('y')
    expect(() => expand('${U:-'.repeat(depth))).toThrow("syntax error: missing '}'")
  })

  test.each([
    ['${A##PATTERNb}', '*a', 'a'],
    ['${A%%bPATTERN}', 'a*', 'a'],
    ['${A//PATTERNb/x}', '*a', 'a'],
    ['${A/PATTERNb/x}', '?*', 'a'],
    ['${A#PATTERNb}', '*?a', 'a'],
    ['${A//PATTERNb/x}', '*a', 'aaaaaaa\n'],
  ])('%s is matched in time linear in the value', (word, part, letter) => {
    const value = letter.repeat(20_000)
    const startMs = processorMs()
    const { text } = expandWord(word.replace('PATTERN', part.repeat(50)), createEnvironment([`A=${value}`]))
    expect(text).toBe(value)
    expect(processorMs() - startMs).toBeLessThan(2000)
  })

  test('a result that is larger than any message of BuildKit is refused', () => {
    const large = createEnvironment([`A=${'x'.repeat(9_000_000)}`])
    expect(() => expandWord('$A$A', large)).toThrow('the result is larger than 16777216 characters')
    expect(expandWord('$A', large).text).toHaveLength(9_000_000)
    const small = createEnvironment([`A=${'x'.repeat(900)}`])
    for (const word of ['$A$A', '"$A$A"', '${A//x/yy}', '${A//*/\\$0\\$0}', '${A//x/${A}}', '${U:-$A$A}', '$A${A#x}'])
      expect(() => expandWord(word, small, { maxLength: 1000 })).toThrow('the result is larger than 1000 characters')
  })

  test('an error quotes no more of a word than one can read', () => {
    const error = (() => {
      try {
        return expandWord(`${'x'.repeat(1_000_000)}\${`, environment)
      } catch (thrown) {
        return thrown as Error
      }
    })()
    expect(error).toMatchObject({ message: expect.stringContaining("syntax error: missing '}'") })
    expect((error as Error).message.length).toBeLessThan(2000)
  })
})

describe('expandWords', () => {
  test('white space outside quotes separates words, also when it comes from a variable', () => {
    expect(expandWords('1 $B "$B" 2\\ 3', environment)).toEqual(['1', 'b', 'c', 'b c', '2 3'])
  })

  test('an empty quoted word is no word', () => {
    expect(expandWords('"" a', environment)).toEqual(['a'])
  })

  // BuildKit collects all levels of nesting in one buffer.
  test('what stands directly before a default value is lost', () => {
    expect(expandWords('a${U:-c}d', environment)).toEqual(['cd'])
  })
})
