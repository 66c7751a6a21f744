// What the trial `kills` builds: everything that a step can be given, several stages side by side, a push and a file at the end.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** In no other file: what holds it later has kept a secret. */
export const SECRET = 'the-secret-of-the-trial-4b1d'
const CACHED_FILES = 20

/** Fills the cache that every build reads; a build that finds another content in it gives another image. */
const SEED = `FROM base
RUN --mount=type=cache,id=kept,target=/c mkdir -p /c/tree && for i in $(seq ${CACHED_FILES}); do echo "cached $i" > /c/tree/$i; done
`

const readCache = 'cat $(find /c/tree -type f | sort) | md5sum'
const spend = 'usleep 20000'

const graph = ({ git, ssh, agent }) => `FROM base AS one
RUN --mount=type=cache,id=kept,target=/c --mount=type=tmpfs,target=/t mkdir /w && ${readCache} > /w/cached && \
 for i in 1 2 3; do head -c 200000 /dev/zero > /t/$i; cp /t/$i /w/$i; date > /c/last.$i; ${spend}; done
FROM base AS two
RUN --mount=type=secret,id=s${agent ? ' --mount=type=ssh' : ''} md5sum /run/secrets/s > /secret &&${agent ? ' test -S "$SSH_AUTH_SOCK" &&' : ''} (${spend}; true)
RUN --network=none chown 1000:1000 /secret && (setsid sleep 60 & ${spend})
FROM base AS three
COPY data /data
${git === undefined ? '' : `ADD ${git} /git\n`}${ssh === undefined ? '' : `ADD ${ssh} /ssh\n`}RUN --mount=type=bind,target=/context --mount=type=cache,id=own,sharing=private,target=/p md5sum /context/data > /sum && date > /p/last && ${spend}
FROM one
COPY --from=two /secret /secret
COPY --from=three / /three/
RUN --mount=type=cache,id=kept,target=/c --mount=type=cache,id=locked,sharing=locked,target=/l --mount=type=bind,from=three,target=/m \
 ${readCache} > /again && cat /m/sum > /sum && date > /l/last && rm /w/1 && ${spend}
`

const OTHER = `FROM base
RUN --mount=type=cache,id=other,target=/c echo of another graph > /file
COPY file /copied
`

/** Writes the contexts below `directory`; their paths. */
export function writeContexts(directory, sources) {
  const contexts = {
    seed: { Dockerfile: SEED },
    app: { Dockerfile: graph(sources), data: 'data\n'.repeat(50_000) },
    other: { Dockerfile: OTHER, file: 'file\n' },
  }
  return Object.fromEntries(
    Object.entries(contexts).map(([name, files]) => {
      const path = join(directory, name)
      mkdirSync(path, { recursive: true })
      for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
      return [name, path]
    }),
  )
}

/** A bare repository with one commit, the same everywhere. */
export function makeRepository(path) {
  const when = '2001-01-01T00:00:00Z'
  const script = `git init -q -b main work && cd work && echo of git > file && git add file &&
    git -c user.name=k -c user.email=k@k commit -q -m one && git clone -q --bare . "$1"`
  const env = { ...process.env, GIT_AUTHOR_DATE: when, GIT_COMMITTER_DATE: when, GIT_CONFIG_GLOBAL: '/dev/null' }
  const { status, stderr } = spawnSync('sh', ['-ec', script, 'sh', path], {
    cwd: join(path, '..'),
    env,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`git: ${stderr}`)
}
