# What a step writes, changes and deletes is the same layer for every user, and a cache mount outlives a build.
. "$KERNELS_PAYLOAD/scripts/kernels/guest/base.sh"
mkdir context
cat > context/Dockerfile << 'END'
FROM base
RUN mkdir -p /data/deep && echo one > /data/one && echo two > /data/two && ln -s one /data/link && ln /data/one /data/hard
RUN rm -r /data/deep /data/two && mkdir /data/deep && echo three > /data/deep/three && chmod 750 /data
ARG ROUND=1
RUN --mount=type=cache,target=/cache echo $ROUND >> /cache/log && cp /cache/log /seen
RUN --mount=type=tmpfs,target=/scratch --mount=type=secret,id=word cat /run/secrets/word > /scratch/word && test -s /scratch/word
RUN --network=none sh -c '! grep -v -e lo: -e Inter -e face /proc/net/dev'
END
echo hidden > word
tsbuild -t steps --secret id=word,src=word -o type=oci,dest=first.tar,rewrite-timestamp=true --iidfile first context
tsbuild -t steps --secret id=word,src=word -o type=oci,dest=again.tar,rewrite-timestamp=true --iidfile again context 2>&1 | tee again.log
test "$(grep -c 'CACHED$' again.log)" -ge 5 || fail 'the second build did not come from the cache'
cmp first.tar again.tar || fail "the image of the cached build differs"
tsbuild -q --build-arg ROUND=2 --secret id=word,src=word -o out context
test "$(tail -n 1 out/seen)" = 2 && grep -q 1 out/seen || fail "the cache mount holds $(cat out/seen)"
same steps "$(cat first)"
