// What is built in each place, and what has to be found in the image: path → owner, group, mode and capabilities of its entry.

/** `cap_net_bind_service+ep` as the kernel keeps it: revision 2 with the effective bit, bit 10 permitted; capability.h. */
const bindService = '0100000200040000000000000000000000000000'

export const files = {
  quickstart: { context: 'fixtures/quickstart', entries: { 'app/main.js': { uid: 0, gid: 0, mode: 0o644 } } },
  pip: { context: 'fixtures/environments/pip', entries: {} },
  apt: {
    context: 'fixtures/environments/apt',
    entries: { 'usr/bin/sudo': { uid: 0, gid: 0, mode: 0o4755 } },
  },
  users: {
    context: 'fixtures/environments/users',
    entries: {
      'home/node/': { uid: 1000, gid: 1000 },
      'app/': { uid: 1000, gid: 1000 },
      'app/root': { uid: 0, gid: 0 },
      'app/node': { uid: 1000, gid: 1000 },
      'app/su': { uid: 1000, gid: 1000 },
      'app/mine': { uid: 1000, gid: 1000 },
      'app/capable': { uid: 0, gid: 0, capability: bindService },
      'app/setuid': { uid: 65_534, gid: 65_534, mode: 0o4750 },
    },
  },
}
