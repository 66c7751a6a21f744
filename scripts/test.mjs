// `npm test [-- JEST ARGUMENTS]`: installs what is missing, compiles, lints, runs the tests of all packages.
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile, environment, installPackages, nodeBinary, root, run, step } from './setup.mjs'
import { ensureTools } from './tools.mjs'

const started = performance.now()
await installPackages()
const unavailable = ensureTools()
await compile()
const isClean = await lint()
const { status, counts } = await test(process.argv.slice(2))
console.log(
  `\n${Math.round((performance.now() - started) / 1000)} s in all${isClean ? '' : '; the check of types, lint or format failed, see above'}`,
)
if (counts !== undefined) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
}
process.exitCode = status !== 0 ? status : isClean ? 0 : 1

async function lint() {
  step('types of the tests, lint: oxlint (type-aware), oxfmt --check')
  // The packages are compiled without their tests.
  const typeStatus = await run('npm', ['run', '--silent', 'typecheck'])
  const lintStatus = await run('npm', ['run', '--silent', 'lint'])
  const formatStatus = await run('npm', ['run', '--silent', 'format:check'])
  return typeStatus === 0 && lintStatus === 0 && formatStatus === 0
}

async function test(extraArguments) {
  step('tests')
  const report = join(tmpdir(), `ts-oci-tests-${process.pid}.json`)
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js')
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
  const status = await run(nodeBinary(), [...flags, jest, '--json', `--outputFile=${report}`, ...extraArguments], {
    env: { ...environment(), TS_OCI_TOOLS_UNAVAILABLE: unavailable.join(',') },
    // The JSON goes to the file; what people read goes to stderr.
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'))
    // A suite that cannot even be loaded has no test that failed, and is a failure all the same.
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites
    reportSkipped(result)
    return {
      status,
      counts: { passed: result.numPassedTests, failed, skipped: result.numPendingTests + result.numTodoTests },
    }
  } catch {
    return { status: status === 0 ? 1 : status, counts: undefined }
  } finally {
    rmSync(report, { force: true })
  }
}

/** Jest counts skipped tests; here each is named, with what it misses. */
function reportSkipped(result) {
  for (const suite of result.testResults) {
    for (const one of suite.assertionResults) {
      if (one.status === 'pending') console.log(`skipped: ${one.fullName}`)
    }
  }
}
