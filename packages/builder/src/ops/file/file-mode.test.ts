import { describe, expect, test } from '@jest/globals'
import { parseModeChange } from './file-mode.ts'

describe('a mode of --chmod', () => {
  // By chmod(1): what each clause does to 0640 of a file, and to 0750 of a directory.
  const cases: readonly (readonly [string, number, number])[] = [
    ['755', 0o755, 0o755],
    ['07777', 0o7777, 0o7777],
    ['u+x', 0o740, 0o750],
    ['+x', 0o751, 0o751],
    ['a=rX', 0o444, 0o555],
    ['u=rwX,go=rX', 0o644, 0o755],
    ['go-rwx', 0o600, 0o700],
    ['g=u', 0o660, 0o770],
    ['o=g', 0o644, 0o755],
    ['u=,g+w', 0o060, 0o070],
    ['ug+s', 0o6640, 0o6750],
    ['+t', 0o1640, 0o1750],
    ['u+rw-w', 0o440, 0o550],
    ['o+u-w', 0o644, 0o755],
  ]
  for (const [text, file, directory] of cases) {
    test(`${text} is understood`, () => {
      const change = parseModeChange(text)
      expect([change(0o640, false).toString(8), change(0o750, true).toString(8)]).toEqual([
        file.toString(8),
        directory.toString(8),
      ])
    })
  }
  test('that means nothing is refused', () => {
    for (const text of ['', 'u', 'z+x', 'u+q', '8', '0x1', 'u+x,', '17777', '=rw,x'])
      expect(() => parseModeChange(text)).toThrow(expect.objectContaining({ code: 'OCI_COPY_INVALID' }))
  })
})
