import { describe, expect, test } from '@jest/globals'
import { viewOfListing } from './listing.test.helper.ts'
import { requireSentDirectory } from './sent.ts'

const view = viewOfListing(`
d 755 0:0 0 1046649600 dir
d 755 0:0 0 1046649600 dir/sub
f 644 0:0 0 1046649600 dir/x = x
`)

// As BuildKit answered for these sources, with --no-cache and a new name of the context each time.
describe('a wildcard that matches nothing', () => {
  test.each([
    [['dir/q*'], 'dir/q*', 'lstat /dir: no such file or directory'],
    [['dir/q*', 'dir/z*'], 'dir/q*', 'lstat /dir: no such file or directory'],
    [['dir/sub/q*', 'dir/x'], 'dir/sub/q*', 'lstat /dir/sub: no such file or directory'],
  ])('is refused when no source of %j is in its directory', (followed, source, message) => {
    expect(() => requireSentDirectory(view, source, followed)).toThrow(
      expect.objectContaining({ code: 'OCI_COPY_SOURCE_NOT_FOUND', message }),
    )
  })

  test.each([
    [['dir/q*', 'dir/x'], 'dir/q*'],
    [['dir/q*', 'dir'], 'dir/q*'],
    [['dir/q*', '*'], 'dir/q*'],
    [['*/q*'], '*/q*'],
    [['q*'], 'q*'],
    [['dir/x*'], 'dir/x*'],
    [['dir/**/**/x'], 'dir/**/**/x'],
  ])('of %j is nothing to copy otherwise', (followed, source) => {
    expect(() => requireSentDirectory(view, source, followed)).not.toThrow()
  })
})
