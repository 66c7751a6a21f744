import type { FileAction, FileActionCopy, FileSpec, Owner, OwnerId } from '../../graph/op-specs.ts'

/** What the Dockerfile's lowering makes of such a line. */
export function parseLine(line: string): FileSpec {
  const [keyword, ...words] = line.split(' ')
  if (keyword === 'WORKDIR')
    return {
      kind: 'file',
      actions: [
        {
          input: 0,
          secondaryInput: -1,
          output: 0,
          action: { kind: 'mkdir', path: words[0]!, mode: 0o755, makeParents: true, timestamp: -1 },
        },
      ],
    }
  const flags = words.filter((word) => word.startsWith('--'))
  const paths = words.filter((word) => !word.startsWith('--'))
  const values = (name: string): string[] =>
    flags.filter((flag) => flag.startsWith(`--${name}=`)).map((flag) => flag.slice(name.length + 3))
  const [chown] = values('chown')
  const [chmod] = values('chmod')
  const base = flags.includes('--link') ? -1 : 0
  const source = values('from').length > 0 ? 0 : 1
  const actions = paths.slice(0, -1).map((src, index): FileAction => {
    const isLast = index === paths.length - 2
    return {
      input: index === 0 ? base : 1 + index,
      secondaryInput: source,
      output: isLast ? 0 : -1,
      action: copyAction(src, paths.at(-1)!, { keyword: keyword!, chown, chmod, excludePatterns: values('exclude') }),
    }
  })
  return { kind: 'file', actions }
}

interface LineFlags {
  readonly keyword: string
  readonly chown: string | undefined
  readonly chmod: string | undefined
  readonly excludePatterns: readonly string[]
}

function copyAction(src: string, dest: string, flags: LineFlags): FileActionCopy {
  const { keyword, chown, chmod, excludePatterns } = flags
  return {
    kind: 'copy',
    src: src.startsWith('/') ? src : `/${src}`,
    dest,
    ...(chown === undefined ? {} : { owner: parseOwner(chown) }),
    mode: chmod !== undefined && /^[0-7]+$/.test(chmod) ? Number.parseInt(chmod, 8) : -1,
    modeStr: chmod !== undefined && !/^[0-7]+$/.test(chmod) ? chmod : '',
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: keyword === 'ADD',
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    timestamp: -1,
    includePatterns: [],
    excludePatterns,
    alwaysReplaceExistingDestPaths: false,
  }
}

function parseOwner(text: string): Owner {
  const id = (word: string): OwnerId => (/^[0-9]+$/.test(word) ? { id: Number(word) } : { name: word, input: 0 })
  const [user, group] = text.split(':')
  return { ...(user === '' ? {} : { user: id(user!) }), ...(group === undefined ? {} : { group: id(group) }) }
}
