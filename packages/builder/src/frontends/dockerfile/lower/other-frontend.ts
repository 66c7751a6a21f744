/** A Dockerfile that wants another frontend: it would be read as what it is not, and that in silence. */
import { BuilderError } from '../../../base/errors.ts'
import { toErrorLocation } from '../read/errors.ts'
import type { ParsedDockerfile } from '../read/ast.ts'
import { otherFrontend } from '../read/other-frontend.ts'

/**
 * The build argument wins over the line, as with BuildKit.
 * @throws OCI_FRONTEND_UNSUPPORTED for a frontend that is not the one built in: no frontend image is ever fetched or run
 */
export function refuseOtherFrontend(
  { directives: { syntax } }: ParsedDockerfile,
  buildArgs: ReadonlyMap<string, string>,
): void {
  const argument = buildArgs.get('BUILDKIT_SYNTAX')
  const image = otherFrontend(argument ?? syntax?.value)
  if (image === undefined) return
  const source = argument === undefined ? `# syntax=${image}` : `BUILDKIT_SYNTAX=${image}`
  throw new BuilderError(
    'OCI_FRONTEND_UNSUPPORTED',
    `${source}: this frontend is not run, only docker/dockerfile is built in`,
    {
      hint: 'where the file is a plain Dockerfile: --build-arg BUILDKIT_SYNTAX=docker/dockerfile:1; else build it with a BuildKit',
      ...(argument === undefined && syntax !== undefined ? { location: toErrorLocation(syntax.location) } : {}),
    },
  )
}
