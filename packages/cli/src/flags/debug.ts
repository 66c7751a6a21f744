import { defineSpec } from '../flag-types.ts'
import { registry, store } from './shared.ts'

const jsonLines =
  'Reads one JSON document a line from standard input and answers each with one line on standard output.'

export const debugParse = defineSpec({
  name: 'debug parse',
  summary: 'show how Dockerfiles are read',
  description: `${jsonLines} {"dockerfile": TEXT} gives {"ok": true, "instructions": [...]}.`,
  args: [],
  flags: [],
})

export const debugExpand = defineSpec({
  name: 'debug expand',
  summary: 'show how variables in words are replaced',
  description: `${jsonLines} {"word": TEXT, "env": ["NAME=VALUE"], "mode": "word"} gives {"ok": true, "result": TEXT}.`,
  args: [],
  flags: [],
})

export const debugIgnore = defineSpec({
  name: 'debug ignore',
  summary: 'show which paths a .dockerignore leaves out',
  description: `${jsonLines} {"file": TEXT, "paths": [PATH]} gives {"ok": true, "excluded": [BOOLEAN]}.`,
  args: [],
  flags: [],
})

export const debugLlb = defineSpec({
  name: 'debug llb',
  summary: "print the build graph as BuildKit's LLB, as JSON; nothing is run",
  args: [{ name: 'CONTEXT', summary: 'directory with the files of the build', required: true }],
  flags: [
    { name: 'file', char: 'f', kind: 'text', value: 'FILE', summary: 'the Dockerfile; default CONTEXT/Dockerfile' },
    { name: 'target', kind: 'text', value: 'STAGE', summary: 'stage to build; default the last' },
    { name: 'build-arg', kind: 'texts', value: 'NAME[=VALUE]', summary: 'value of an ARG' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: 'platform of the image' },
    {
      name: 'output',
      char: 'o',
      kind: 'text',
      value: 'FILE',
      summary: 'write the graph as a pb.Definition, as buildctl reads it, instead',
    },
    ...registry,
    store,
  ],
})
