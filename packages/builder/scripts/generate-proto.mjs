// Writes src/graph/proto/llb_pb.ts from llb.proto. For developers: the result is committed, no build needs this.
// buf and its plugin are fetched by npx; they are no dependencies of the project.
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const directory = join(dirname(fileURLToPath(import.meta.url)), '../src/graph/proto')
const template = {
  version: 'v2',
  plugins: [{ local: 'protoc-gen-es', out: '.', opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'] }],
}
const packages = ['--package=@bufbuild/buf@1.75.0', '--package=@bufbuild/protoc-gen-es@2.17.0']
execFileSync('npx', ['--yes', ...packages, 'buf', 'generate', '--template', JSON.stringify(template), '.'], {
  cwd: directory,
  stdio: 'inherit',
})
