import { describe, expect, test } from '@jest/globals'
import { detectDirective } from './directives.ts'

describe('detectDirective', () => {
  test.each([
    ['# syntax = a/b:1 c\nFROM x', { value: 'a/b:1', commandLine: 'a/b:1 c', line: 1 }],
    ['\ufeff#syntax=a', { value: 'a', commandLine: 'a', line: 1 }],
    ['#!/bin/x\n# syntax=a\n', { value: 'a', commandLine: 'a', line: 2 }],
    ['# escape=`\r\n# syntax=a\r\n', { value: 'a', commandLine: 'a', line: 2 }],
    ['// syntax=a\n', { value: 'a', commandLine: 'a', line: 1 }],
    ['{"syntax": "a b"}', { value: 'a b', commandLine: 'a b', line: 0 }],
    ['# hello\n# syntax=a\n', undefined],
    [' # syntax=a\n', undefined],
    ['FROM x', undefined],
    ['', undefined],
    ['null', undefined],
  ])('%j', (text, found) => {
    expect(detectDirective(text, 'syntax', { anyFormat: true })).toEqual(found)
  })

  test('other formats count only when asked for', () => {
    expect(detectDirective('// syntax=a', 'syntax')).toBeUndefined()
  })
})
