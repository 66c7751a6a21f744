# Limits of steps in a delegated cgroup of version 2: what the kernel has of them, an out-of-memory kill, nothing left.
. "$KERNELS_PAYLOAD/scripts/kernels/guest/base.sh"
mkdir limits
cat > limits/Dockerfile << 'END'
FROM base
RUN cd /sys/fs/cgroup && cat memory.max memory.swap.max cpu.weight cpu.max && grep . pids.max && cut -d: -f3 /proc/self/cgroup
END
# 512 shares are a weight of 59 by the formula of opencontainers/cgroups.
tsbuild --progress=plain -m 64m --memory-swap 80m -c 512 --cpu-quota 40000 --cpu-period 80000 limits > log 2>&1 || fail "$(cat log)"
for value in 67108864 16777216 59 '40000 80000' /; do
  grep -qE "^#[0-9]+ [0-9.]+ $value\$" log || fail "no $value in: $(cat log)"
done
grep -qE '^#[0-9]+ [0-9.]+ (max|[0-9]{4,})$' log || fail "no pids.max in: $(cat log)"

printf 'FROM base\nRUN x=x; while :; do x=$x$x; done\n' > limits/eat
tsbuild -m 32m --memory-swap 32m -f limits/eat limits > log 2>&1 && fail 'it was not killed'
grep -q 'did not complete successfully: cannot allocate memory' log || fail "no word of memory: $(cat log)"

# Where there is no such processor, and where a user has no such controller.
tsbuild --cpuset-cpus 4000 --no-cache -f limits/Dockerfile limits > log 2>&1 && fail 'a processor that there is not'
grep -q 'OCI_RUNTIME_LIMIT_UNAVAILABLE' log || fail "$(cat log)"

left=$(find /sys/fs/cgroup -name 'ts-oci-*' -user "$(id -un)")
test -z "$left" || fail "left: $left"
