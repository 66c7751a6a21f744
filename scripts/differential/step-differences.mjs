/**
 * What a step sees otherwise than BuildKit's, with the reason; docs/steps.md tells the same to users. `side`: `-` for what
 * BuildKit's alone has, `+` for what ours has; without it for both. `rootless`: only where the builder is an ordinary user.
 */
export const differences = [
  {
    fact: /^mount: \/ \/ rw,relatime - overlay /,
    why: 'options of the overlay: nothing is redirected, and no sync in it',
  },
  { fact: /^mount: \/ \/dev rw,nosuid/, why: 'how a mount is made decides whether relatime is shown' },
  { fact: /^mount: \/ \/dev\/shm .* - tmpfs (shm|tmpfs) /, why: 'a name of the device' },
  {
    fact: /^mount: \/\S*(hosts|resolv\.conf)\S* \/etc\//,
    why: 'these files are in memory, not on the disk of a daemon',
  },
  { fact: /^mount: \/(null)? \/(proc|sys)\/[a-z_]+ /, why: 'covers of masked paths are read-only and private' },
  { fact: /^mount: \/ \/sys ro/, why: 'the mount is read-only, not its file system' },
  {
    fact: /^masked: (\/proc\/interrupts |[01]$)/,
    why: 'newer versions of Docker mask /proc/interrupts, and so do we',
  },
  {
    fact: /^(status: Cap(Prm|Eff|Bnd):|network: )/,
    rootless: true,
    why: 'the network of the host, without NET_RAW and NET_BIND_SERVICE',
  },
  {
    fact: /^(mount: \/ \/sys\/fs\/cgroup |cgroup: \d+$|read-only: mkdir: cannot create directory '\/sys\/fs\/cgroup\/x')/,
    why: 'beside version 1 the tree of version 2 limits nothing: whoever reads limits from it is misled',
  },
  {
    fact: /^(root: 555 \d+:\d+ directory \/(proc|sys)$|dev: c\S+ \d+:\d+ \.\/[a-z]+ $|mount: \/[a-z]+ \/dev\/[a-z]+ ro,)/,
    rootless: true,
    why: 'devices and pseudo file systems belong to the root of the host, who is nobody in the step; devices are bound from there',
  },
  {
    fact: /^(mount: \/ \/dev\/pts |mount: \/ \/ rw,nodev,|attributes: ([ug]id_map)? )/,
    rootless: true,
    why: 'a user namespace: its ids, its overlay',
  },
  {
    fact: /^mount: \S+ \/sys\/fs\/cgroup\/\S+ ro,/,
    rootless: true,
    why: 'on the network of the host its /sys is shown',
  },
  {
    fact: /^(calls: (mknod: |null$|head: cannot open '\/tmp\/b')|masked: \/proc\/(keys|timer_list) c)/,
    rootless: true,
    why: 'the kernel makes no device for a user',
  },
]
