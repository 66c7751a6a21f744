# The quickstart: a base of this machine's own files, a Dockerfile with steps and a cache mount, and all of it again from the cache.
cp -r "$KERNELS_PAYLOAD/fixtures" .
node "$KERNELS_PAYLOAD/scripts/quickstart-demo.mjs" 2>&1 | tee log
grep -q 'steps cached' log || fail 'the quickstart did not come to its end'
