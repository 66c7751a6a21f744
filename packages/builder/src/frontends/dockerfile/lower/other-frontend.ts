/** A Dockerfile that wants another frontend: nothing is fetched for it, and the line must not be passed over in silence. */
import type { BuildWarning } from '../../../base/progress.ts'
import { toErrorLocation } from '../read/errors.ts'
import type { ParsedDockerfile } from '../read/ast.ts'
import { otherFrontend } from '../read/other-frontend.ts'

/** The build argument wins over the line, as with BuildKit. */
export function otherFrontendWarning(
  { directives: { syntax } }: ParsedDockerfile,
  buildArgs: ReadonlyMap<string, string>,
): BuildWarning[] {
  const argument = buildArgs.get('BUILDKIT_SYNTAX')
  const image = otherFrontend(argument ?? syntax?.value)
  if (image === undefined) return []
  const source = argument === undefined ? `# syntax=${image}` : `BUILDKIT_SYNTAX=${image}`
  return [
    {
      rule: '',
      message: `${source} names another frontend, which is not run: the file was read as docker/dockerfile:1`,
      detail: 'No frontend image is ever fetched or run; the language is that of docker/dockerfile, built in.',
      ...(argument === undefined && syntax !== undefined ? { location: toErrorLocation(syntax.location) } : {}),
    },
  ]
}
