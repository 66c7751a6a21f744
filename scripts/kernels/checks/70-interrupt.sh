# What is killed leaves no process and no mount, and the next build succeeds.
. "$KERNELS_PAYLOAD/scripts/kernels/guest/base.sh"
mkdir context
printf 'FROM base\nRUN echo started && sleep 12345\n' > context/Dockerfile
node "$KERNELS_PAYLOAD/packages/cli/bin/run.js" --progress plain context > log 2>&1 &
builder=$!
for _ in $(seq 120); do
  grep -q 'started$' log && break
  sleep 1
done
grep 'started$' log || fail 'the step did not start'
kill -9 $builder
# The brackets keep grep from finding itself.
for _ in $(seq 20); do
  grep -lsa '12[3]45' /proc/[0-9]*/cmdline > left || break
  sleep 1
done
test ! -s left || fail "the step outlived its builder: $(cat left)"
! grep snapshots /proc/self/mountinfo || fail 'a mount is left'
printf 'FROM base\nRUN true\n' > context/Dockerfile
tsbuild -q context
