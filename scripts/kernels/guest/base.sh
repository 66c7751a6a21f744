# Sourced by checks that run steps: a context `base` whose Dockerfile makes the image `base` of the static busybox.
mkdir base
cp "$KERNELS_PAYLOAD/bin/busybox" base/busybox
cat > base/Dockerfile << 'END'
FROM scratch
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -p /tmp /etc /proc && chmod 1777 /tmp && echo root:x:0:0::/:/bin/sh > /etc/passwd"]
END
export SOURCE_DATE_EPOCH=0
tsbuild -q -t base -o type=image,rewrite-timestamp=true base
