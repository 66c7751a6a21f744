import { describe, expect, test } from '@jest/globals'
import {
  formatCheck,
  formatCheckJson,
  formatOutline,
  formatOutlineJson,
  formatTargets,
  formatTargetsJson,
} from './call-format.ts'
import { lintDockerfile } from './lint.ts'
import { createTestEnvironment, createTestOptions } from '../lower/environment.test.helper.ts'
import { outlineDockerfile } from './outline.ts'
import { listTargets } from './targets.ts'

// Texts are the output of docker buildx build --call=… (BuildKit of Docker 28.5) for the same files.
const OUTLINED = `# foo the foo
ARG foo=bar
ARG unused=1
# version desc two words
ARG  version=latest
# base the base stage
FROM registry.example/base:1\${version:+} as base
# tok2 some
ARG tok2
RUN --mount=type=secret,id=tok,required --mount=type=ssh,id=x,required=true --mount=type=secret,id=two true
# fin a final stage
FROM base AS fin
ARG foo
ARG TARGETARCH
RUN --mount=type=secret,id=three --mount=type=ssh true
FROM scratch AS o
ARG oarg=2
`

const check = (text: string): ReturnType<typeof lintDockerfile> =>
  lintDockerfile(text, createTestOptions(), createTestEnvironment())
const outline = (text: string, target?: string): ReturnType<typeof outlineDockerfile> =>
  outlineDockerfile(text, createTestOptions({ target }), createTestEnvironment())

describe('check', () => {
  test('prints findings by line with the lines around them', async () => {
    const output = formatCheck(await check('FROM scratch\nCMD x\nMAINTAINER y\n'))
    expect(output).toEqual({
      stdout: `Check complete, 2 warnings have been found!

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:2
--------------------
   1 |     FROM scratch
   2 | >>> CMD x
   3 |     MAINTAINER y
   4 |     
--------------------

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:3
--------------------
   1 |     FROM scratch
   2 |     CMD x
   3 | >>> MAINTAINER y
   4 |     
--------------------
`,
      stderr: '',
      exitCode: 1,
    })
  })

  test('says that nothing was found', async () => {
    expect(formatCheck(await check('FROM scratch\n'))).toEqual({
      stdout: 'Check complete, no warnings found.\n',
      stderr: '',
      exitCode: 0,
    })
  })

  test('prints an error beside the findings', async () => {
    const { stdout, stderr, exitCode } = formatCheck(await check('FROM scratch\nCOPPY a b\n'))
    expect(stdout).toBe('')
    expect(stderr).toBe(`ERROR: dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)
Dockerfile:2
--------------------
   1 |     FROM scratch
   2 | >>> COPPY a b
   3 |     
--------------------

`)
    expect(exitCode).toBe(1)
  })

  test('as JSON names the rule, the place and the source', async () => {
    expect(formatCheckJson(await check('FROM scratch\nMAINTAINER <y>\n')).stdout).toBe(`{
  "warnings": [
    {
      "ruleName": "MaintainerDeprecated",
      "description": "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
      "url": "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
      "detail": "Maintainer instruction is deprecated in favor of using label",
      "location": {
        "ranges": [
          {
            "start": {
              "line": 2
            },
            "end": {
              "line": 2
            }
          }
        ]
      }
    }
  ],
  "sources": [
    {
      "filename": "Dockerfile",
      "data": "RlJPTSBzY3JhdGNoCk1BSU5UQUlORVIgPHk+Cg==",
      "language": "Dockerfile"
    }
  ]
}
`)
  })

  test('as JSON tells the first error where BuildKit does, and all of them beside', async () => {
    const json = JSON.parse(formatCheckJson(await check('FROM scratch\nEXPOSE x\nEXPOSE y\n')).stdout) as {
      buildError: unknown
      buildErrors: unknown[]
      warnings: unknown
    }
    const place = (line: number): object => ({ ranges: [{ start: { line }, end: { line } }] })
    expect(json.warnings).toBeNull()
    expect(json.buildError).toEqual({ message: 'invalid containerPort: x', location: place(2) })
    expect(json.buildErrors).toEqual([json.buildError, { message: 'invalid containerPort: y', location: place(3) }])
  })
})

describe('outline', () => {
  test('lists what the target and the stages behind it take', async () => {
    expect(formatOutline(await outline(OUTLINED, 'fin'))).toBe(`TARGET:      fin
DESCRIPTION: a final stage

BUILD ARG   VALUE    DESCRIPTION
foo         bar      the foo
version     latest   desc two words
tok2                 some

SECRET   REQUIRED
tok      true
two      
three    

SSH       REQUIRED
x         true
default   

`)
    expect(formatOutline(await outline(OUTLINED))).toBe(
      'TARGET: o\n\nBUILD ARG   VALUE   DESCRIPTION\noarg        2       \n\n',
    )
    expect(formatOutline(await outline('FROM scratch\n'))).toBe('')
  })

  test('as JSON leaves out what is empty', async () => {
    expect(formatOutlineJson(await outline('FROM scratch AS o\nARG oarg=2\n'))).toBe(`{
  "name": "o",
  "args": [
    {
      "name": "oarg",
      "value": "2",
      "location": {
        "ranges": [
          {
            "start": {
              "line": 2
            },
            "end": {
              "line": 2
            }
          }
        ]
      }
    }
  ],
  "sources": [
    "RlJPTSBzY3JhdGNoIEFTIG8KQVJHIG9hcmc9Mgo="
  ]
}
`)
  })
})

describe('targets', () => {
  test('are the stages, with the default one marked', () => {
    expect(formatTargets(listTargets(OUTLINED))).toBe(
      'TARGET      DESCRIPTION\nbase        the base stage\nfin         a final stage\no (default) \n',
    )
    expect(formatTargets(listTargets('FROM scratch AS a\nFROM scratch\n'))).toBe(
      'TARGET    DESCRIPTION\na         \n(default) \n',
    )
  })

  test('as JSON tell base and platform as written', () => {
    const json = JSON.parse(formatTargetsJson(listTargets('ARG x\nFROM --platform=$x a:${x} AS b\nFROM b\n'))) as {
      targets: object[]
    }
    const place = (line: number): object => ({ ranges: [{ start: { line }, end: { line } }] })
    expect(json.targets).toEqual([
      { name: 'b', base: 'a:${x}', platform: '$x', location: place(2) },
      { default: true, base: 'b', location: place(3) },
    ])
  })
})
