# A step runs on more layers than the page of mount(2) has room for when each is named by its path.
. "$KERNELS_PAYLOAD/scripts/kernels/guest/base.sh"
mkdir context
{
  echo FROM base
  for n in $(seq 120); do printf 'COPY %s /layers/%s\n' "$n" "$n"; done
  echo 'RUN test "$(ls /layers | wc -l)" = 120 && cat /layers/* > /sum'
} > context/Dockerfile
for n in $(seq 120); do echo "$n" > "context/$n"; done
tsbuild -q -o out context
test "$(wc -l < out/sum)" = 120
