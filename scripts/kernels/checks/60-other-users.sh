# A step of another user runs where there are ids for it, and is refused by name, with what helps, where not.
. "$KERNELS_PAYLOAD/scripts/kernels/guest/base.sh"
mkdir context
printf 'FROM base\nUSER 1000:1000\nRUN id -u > /tmp/who\n' > context/Dockerfile
if tsbuild -o out context > log 2>&1; then
  test "$(cat out/tmp/who)" = 1000
  test "$(id -un)" != single || fail 'a user with one id had two'
else
  cat log
  test "$(id -un)" = single
  grep -q 'usermod --add-subuids' log || fail 'no hint says how to get more ids'
fi
