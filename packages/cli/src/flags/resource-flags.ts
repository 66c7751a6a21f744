import type { FlagSpec } from '../flag-types.ts'

/** What limits each step, as Docker's classic builder spells it; `--resource` is how buildx does. */
export const resourceFlags = [
  {
    name: 'memory',
    char: 'm',
    group: 'Step',
    kind: 'text',
    value: 'BYTES',
    summary: 'memory of each RUN, with k, m or g',
  },
  {
    name: 'memory-swap',
    group: 'Step',
    kind: 'text',
    value: 'BYTES',
    summary: 'memory and swap of each RUN together; -1: as much swap as there is',
  },
  {
    name: 'cpu-shares',
    char: 'c',
    group: 'Step',
    kind: 'text',
    // kaniko's -c is a directory.
    isNumber: true,
    value: 'N',
    summary: 'weight of each RUN on the processors; 1024 is the ordinary one',
  },
  {
    name: 'cpu-quota',
    group: 'Step',
    kind: 'text',
    value: 'MICROSECONDS',
    summary: 'processor time of each RUN in a period',
  },
  {
    name: 'cpu-period',
    group: 'Step',
    kind: 'text',
    value: 'MICROSECONDS',
    summary: 'length of the period; default 100000',
  },
  { name: 'cpuset-cpus', group: 'Step', kind: 'text', value: 'LIST', summary: 'processors of each RUN, as 0-2,4' },
  { name: 'cpuset-mems', group: 'Step', kind: 'text', value: 'LIST', summary: 'memory nodes of each RUN, as 0,1' },
  {
    name: 'cgroup-parent',
    group: 'Step',
    kind: 'text',
    value: 'CGROUP',
    summary:
      'cgroup in which that of each RUN is made: a path in the hierarchy, or a slice of systemd; it has to exist',
  },
] as const satisfies readonly FlagSpec[]
