import { isFalse, leaveOut, type ForeignFlag } from './flag-row.ts'

const noHead = "--format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}' prints no head"
const danglingImages = 'tsbuild rmi $(tsbuild images -q --filter dangling=true)'

/** Of commands about the store of Docker, buildah and podman, by those of ours. */
export const ofImageCommands: Readonly<
  Record<'images' | 'inspect' | 'rmi' | 'du' | 'prune' | 'system prune' | 'buildx ls', readonly ForeignFlag[]>
> = {
  images: [
    { name: 'history', isBoolean: true, done: isFalse, use: 'tsbuild history IMAGE' },
    { name: 'json', tool: 'buildah', isBoolean: true, done: isFalse, use: '--format json, an object a line' },
    { name: 'noheading', char: 'n', isBoolean: true, done: isFalse, use: noHead },
    { name: 'sort', done: ['created'], use: `${noHead}: sort them with sort` },
  ],
  inspect: [
    {
      name: 'latest',
      char: 'l',
      tool: 'podman',
      isBoolean: true,
      done: isFalse,
      use: 'leave it out: there are no containers',
    },
    { name: 'size', char: 's', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'type', char: 't', done: ['image', 'all'], use: 'leave it out: the store has images and nothing else' },
  ],
  rmi: [
    {
      name: 'all',
      char: 'a',
      isBoolean: true,
      done: isFalse,
      use: 'all of them: tsbuild images -q --no-trunc | sort -u | xargs -r tsbuild rmi -f',
    },
    { name: 'ignore', char: 'i', tool: 'podman', isBoolean: true, done: isFalse, use: '--force' },
    { name: 'no-prune', tool: 'docker', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'prune', char: 'p', isBoolean: true, done: isFalse, use: danglingImages },
  ],
  du: [
    { name: 'builder', use: 'leave it out: there are no builder instances' },
    { name: 'debug', char: 'D', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'timeout', use: 'leave it out: there are no builder instances to ask' },
  ],
  prune: [
    { name: 'builder', use: 'leave it out: there are no builder instances' },
    { name: 'debug', char: 'D', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'timeout', use: 'leave it out: there are no builder instances to ask' },
    { name: 'volumes', isBoolean: true, done: isFalse, use: 'leave it out: prune removes cache mounts, too' },
  ],
  // There are no volumes; what is like them, cache mounts, goes with the cache.
  'system prune': [{ name: 'volumes', isBoolean: true, done: ['true', 'false'], use: leaveOut }],
  'buildx ls': [{ name: 'debug', char: 'D', isBoolean: true, done: ['true', 'false'], use: leaveOut }],
}
