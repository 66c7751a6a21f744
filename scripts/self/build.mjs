/**
 * The words after `tsbuild` that build the image: here and in every place the same but for where things lie.
 * @param output of `-o`; times of files are cut to the epoch beside it
 */
export function buildArguments({ context, base, baseDigest, output, metadata }) {
  const named = ['--build-arg', 'BASE=base', '--build-context', `base=oci-layout://${base}@${baseDigest}`]
  const written = ['-o', `${output},rewrite-timestamp=true`, '--metadata-file', metadata]
  return ['build', '--progress', 'plain', ...named, ...written, context]
}
