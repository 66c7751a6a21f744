# FROM scratch and COPY give the same image to every user, and again from the cache.
mkdir context
printf 'Hello\n' > context/note
printf 'FROM scratch\nCOPY note /etc/note\nLABEL made.by=me\n' > context/Dockerfile
export SOURCE_DATE_EPOCH=0
tsbuild -t scratch -o type=oci,dest=first.tar,rewrite-timestamp=true --iidfile first context
tsbuild -t scratch -o type=oci,dest=again.tar,rewrite-timestamp=true --iidfile again context 2>&1 | tee again.log
grep -q CACHED again.log || fail 'the second build did not come from the cache'
cmp first.tar again.tar
same scratch "$(cat first)"
