import { defineSpec } from '../flag-types.ts'
import { compatibilityFlags } from './build-compatibility.ts'
import { amendmentFlags } from './build-amendments.ts'
import { answerFlags } from './build-answers.ts'
import { buildFlags } from './build-flags.ts'

/** `tsbuild build`: the flags of `docker buildx build`, and some of our own. */
export const build = defineSpec({
  name: 'build',
  summary: 'build an image from a Dockerfile',
  description:
    'CONTEXT is a directory, a git repository, the URL of an archive or Dockerfile, or - for a tar or a Dockerfile on standard input. Without -o the image goes to the store.',
  examples: [
    'tsbuild -t my-app .',
    'tsbuild build -t my-app -o type=oci,dest=my-app.tar .',
    'tsbuild -t registry.example.com/my-app --push .',
  ],
  args: [
    {
      name: 'CONTEXT',
      summary: 'files of the build: a directory (. is this one), a git or http URL, or -',
      required: true,
    },
  ],
  flags: [...buildFlags, ...answerFlags, ...amendmentFlags, ...compatibilityFlags],
})
