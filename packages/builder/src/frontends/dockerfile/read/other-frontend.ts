/** Which frontend a file asks for. */

/**
 * Images of BuildKit's own frontend, wherever a mirror has them: `docker/dockerfile:1`, `docker/dockerfile-upstream:master`,
 * `mcr.microsoft.com/oss/moby/dockerfile:1`.
 */
const OWN_FRONTEND = /(?:^|\/)(?:docker|moby)\/dockerfile(?:-upstream)?(?:[:@]|$)/

/** The frontend that a value of `# syntax=` or `BUILDKIT_SYNTAX` names, where it is another one than ours. */
export function otherFrontend(syntax: string | undefined): string | undefined {
  // BuildKit takes what stands behind the image for arguments of the frontend.
  const image = syntax?.split(' ', 1)[0] ?? ''
  return image === '' || OWN_FRONTEND.test(image) ? undefined : image
}
