import { gunzipSync } from 'node:zlib'

// Every expectation below is what BuildKit (docker 28.5) wrote for this line on this base and this context. (BuildKit's
// own daemon has no umask: there a directory that --chmod makes keeps all permission bits.)

export const BASE: string = `
d 755 0:0 0 1046649600 etc
f 644 0:0 0 1046649600 etc/group = tty:x:5:
f 644 0:0 0 1046649600 etc/passwd = base64:${Buffer.from('root:x:0:0::/:/bin/sh\ndaemon:x:1:11::/:/bin/sh\n').toString('base64')}
d 1777 0:0 0 1046649600 ex
f 644 0:0 0 1046649600 ex/old = old
l 777 0:0 0 1046649600 ex/tolink -> old
d 755 0:0 0 1046649600 ex2
f 644 0:0 0 1046649600 ex2/old = old
d 755 0:0 0 1046649600 hasdir
d 755 0:0 0 1046649600 hasdir/file
d 755 0:0 0 1046649600 links
l 777 0:0 0 1046649600 links/abs -> /links/real
l 777 0:0 0 1046649600 links/chain -> abs/../chain2
l 777 0:0 0 1046649600 links/chain2 -> ../c3/../rel
l 777 0:0 0 1046649600 links/dang -> /nowhere/deep
l 777 0:0 0 1046649600 links/dang2 -> ../nowhere2/deep
f 644 0:0 0 1046649600 links/file = old
l 777 0:0 0 1046649600 links/loop1 -> loop2
l 777 0:0 0 1046649600 links/loop2 -> loop1
d 755 0:0 0 1046649600 links/real
l 777 0:0 0 1046649600 links/rel -> real
l 777 0:0 0 1046649600 links/tofile -> file
l 777 0:0 0 1046649600 links/up -> ../../up
d 755 0:0 0 1046649600 merge
d 700 0:0 0 1046649600 merge/sub
d 755 77:88 0 1046649600 own
f 4711 77:88 0 1046649600 own/f = o
d 755 77:88 0 1046649600 own/sub
d 755 0:0 0 1046649600 same
f 644 0:0 0 1012608000 same/f = f1
`

const ARCHIVE_GZIP =
  'H4sIAAAAAAAAA+3VTQ6CMBCG4a49RW/Q6R89D4ZGF7qxcH8BWRGjq4KR99kMlMVM8mVoZ1R1IuJSlKmKDWGu3r7eF8qOR76J87NYccErHeuPptRQ+vahtbrnUtpLPg9li64/ozO36j2mUFNKn/OPXqyPIUiY8m/Gol2uPhr5m2v1HlPAzZL7+/zdev/D+FlL9cnU4fPvT3tPgD11Jpu+co/v+7++/60LTmm7xc/p4PsPAAAAAAAAAAAAAPgPTzGZ1ngAKAAA'
const ARCHIVE_BZIP2 =
  'QlpoOTFBWSZTWXJ9LY0AANvbgcHQQAD/gAAL9sYeAAAgAAgwANa2DRJ5TyQ0AAABIkJD0mj1NDTJoaAVU1NJo0aHqaNAaM1P22vp116YbLeJJ4RUSRNNCQ7Y4uT7MIChEUui0iJSmMSCRYRSZoTPsnO26WVIISBQrgM83AaUuUgtEg0tIcwoqBNwitNVUIlM4CErFBQRmdwiFAZ70JHaIgSucxAZBiUPWVeEX+dDU0JywLCpxMCw2X2lTWr3vJH8XckU4UJByfS2NA=='

export const CONTEXT: string = `
f 644 0:0 0 1012608000 a.tar = base64:${gunzipSync(Buffer.from(ARCHIVE_GZIP, 'base64')).toString('base64')}
f 644 0:0 0 1012608000 a.tar.bz2 = base64:${ARCHIVE_BZIP2}
f 644 0:0 0 1012608000 a.tar.gz = base64:${ARCHIVE_GZIP}
d 755 0:0 0 1012608000 emptydir
f 644 0:0 0 1012608000 file = f1
f 600 0:0 0 1012608000 file2 = f22
d 755 0:0 0 1012608000 hard
f 644 0:0 0 1012608000 hard/one = h
h 644 0:0 0 1012608000 hard/two -> hard/one
l 777 0:0 0 1012608000 lnk -> src/a
l 777 0:0 0 1012608000 lnkdir -> src/sub
d 755 0:0 0 1012608000 overdir
d 755 0:0 0 1012608000 overdir/old
f 644 0:0 0 1012608000 overdir/old/new = n
d 750 0:0 0 1012608000 src
f 755 0:0 0 1012608000 src/a = a
d 711 0:0 0 1012608000 src/sub
f 644 0:0 0 1012608000 src/sub/b = b
d 755 0:0 0 1012608000 withlinks
l 777 0:0 0 1012608000 withlinks/abs -> /abs
l 777 0:0 0 1012608000 withlinks/l -> ../file
`

export const CASES: string = `
COPY src /new
  d 755 0:0 0 1012608000 new
  f 755 0:0 2 1012608000 new/a
  d 711 0:0 0 1012608000 new/sub
  f 644 0:0 2 1012608000 new/sub/b
COPY src /new/deep/er/
  d 755 0:0 0 now new
  d 755 0:0 0 now new/deep
  d 755 0:0 0 1012608000 new/deep/er
  f 755 0:0 2 1012608000 new/deep/er/a
  d 711 0:0 0 1012608000 new/deep/er/sub
  f 644 0:0 2 1012608000 new/deep/er/sub/b
COPY src /ex
  d 1777 0:0 0 1012608000 ex
  f 755 0:0 2 1012608000 ex/a
  d 711 0:0 0 1012608000 ex/sub
  f 644 0:0 2 1012608000 ex/sub/b
COPY file /ex
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/file
COPY file /ex/
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/file
COPY file /ex/other
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/other
COPY file /newf/deep/file
  d 755 0:0 0 now newf
  d 755 0:0 0 now newf/deep
  f 644 0:0 3 1012608000 newf/deep/file
COPY file /newd/
  d 755 0:0 0 now newd
  f 644 0:0 3 1012608000 newd/file
COPY file /newd/.
  d 755 0:0 0 now newd
  f 644 0:0 3 1012608000 newd/file
COPY file /ex/old
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/old
COPY file /ex/tolink
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/old
COPY file /
  f 644 0:0 3 1012608000 file
COPY file /rootname
  f 644 0:0 3 1012608000 rootname
COPY file file2 /many/
  d 755 0:0 0 now many
  f 644 0:0 3 1012608000 many/file
  f 600 0:0 4 1012608000 many/file2
COPY file file2 /links/abs/
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 now links/real
  f 644 0:0 3 1012608000 links/real/file
  f 600 0:0 4 1012608000 links/real/file2
COPY src /links/abs
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 1012608000 links/real
  f 755 0:0 2 1012608000 links/real/a
  d 711 0:0 0 1012608000 links/real/sub
  f 644 0:0 2 1012608000 links/real/sub/b
COPY file /links/rel
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 now links/real
  f 644 0:0 3 1012608000 links/real/file
COPY file /links/rel/
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 now links/real
  f 644 0:0 3 1012608000 links/real/file
COPY file /links/rel/x/y
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 now links/real
  d 755 0:0 0 now links/real/x
  f 644 0:0 3 1012608000 links/real/x/y
COPY file /links/dang
  d 755 0:0 0 now nowhere
  f 644 0:0 3 1012608000 nowhere/deep
COPY file /links/dang/
  d 755 0:0 0 now nowhere
  d 755 0:0 0 now nowhere/deep
  f 644 0:0 3 1012608000 nowhere/deep/file
COPY src /links/dang2
  d 755 0:0 0 now nowhere2
  d 755 0:0 0 1012608000 nowhere2/deep
  f 755 0:0 2 1012608000 nowhere2/deep/a
  d 711 0:0 0 1012608000 nowhere2/deep/sub
  f 644 0:0 2 1012608000 nowhere2/deep/sub/b
COPY file /links/dang/a/b
  d 755 0:0 0 now nowhere
  d 755 0:0 0 now nowhere/deep
  d 755 0:0 0 now nowhere/deep/a
  f 644 0:0 3 1012608000 nowhere/deep/a/b
COPY file /links/up
  f 644 0:0 3 1012608000 up
COPY file /links/chain
  f 644 0:0 3 1012608000 rel
COPY file /links/tofile
  d 755 0:0 0 now links
  f 644 0:0 3 1012608000 links/file
COPY src/sub /links/abs/../q
  d 755 0:0 0 now links
  d 755 0:0 0 1012608000 links/q
  f 644 0:0 2 1012608000 links/q/b
COPY src/. /dotsrc
  d 755 0:0 0 1012608000 dotsrc
  f 755 0:0 2 1012608000 dotsrc/a
  d 711 0:0 0 1012608000 dotsrc/sub
  f 644 0:0 2 1012608000 dotsrc/sub/b
COPY lnk /here
  f 755 0:0 2 1012608000 here
COPY lnkdir /heredir
  d 755 0:0 0 1012608000 heredir
  f 644 0:0 2 1012608000 heredir/b
COPY withlinks /wl
  d 755 0:0 0 1012608000 wl
  l 777 0:0 0 1012608000 wl/abs -> /abs
  l 777 0:0 0 1012608000 wl/l -> ../file
COPY hard /hard
  d 755 0:0 0 1012608000 hard
  f 644 0:0 2 1012608000 hard/one
  h 644 0:0 0 1012608000 hard/two -> hard/one
COPY hard/one hard/two /hard2/
  d 755 0:0 0 now hard2
  f 644 0:0 2 1012608000 hard2/one
  f 644 0:0 2 1012608000 hard2/two
COPY f* /wild/
  d 755 0:0 0 now wild
  f 644 0:0 3 1012608000 wild/file
  f 600 0:0 4 1012608000 wild/file2
COPY s* /wild2/
  d 755 0:0 0 1012608000 wild2
  f 755 0:0 2 1012608000 wild2/a
  d 711 0:0 0 1012608000 wild2/sub
  f 644 0:0 2 1012608000 wild2/sub/b
COPY s*/su? /wild3/
  d 755 0:0 0 1012608000 wild3
  f 644 0:0 2 1012608000 wild3/b
COPY f[h-j]le /wild4
  f 644 0:0 3 1012608000 wild4
COPY nope* /x
COPY nope/x* /x
  ! lstat /nope: no such file or directory
COPY --chmod=640 src /ch/p
  d 640 0:0 0 now ch
  d 640 0:0 0 1012608000 ch/p
  f 640 0:0 2 1012608000 ch/p/a
  d 640 0:0 0 1012608000 ch/p/sub
  f 640 0:0 2 1012608000 ch/p/sub/b
COPY --chmod=4755 file /ch2/f
  d 755 0:0 0 now ch2
  f 4755 0:0 3 1012608000 ch2/f
COPY --chmod=1777 src /ch3
  d 755 0:0 0 1012608000 ch3
  f 1777 0:0 2 1012608000 ch3/a
  d 1777 0:0 0 1012608000 ch3/sub
  f 1777 0:0 2 1012608000 ch3/sub/b
COPY --chown=12:34 src /co/p
  d 755 12:34 0 now co
  d 755 12:34 0 1012608000 co/p
  f 755 12:34 2 1012608000 co/p/a
  d 711 12:34 0 1012608000 co/p/sub
  f 644 12:34 2 1012608000 co/p/sub/b
COPY --chown=12:34 src /ex
  d 1777 0:0 0 1012608000 ex
  f 755 12:34 2 1012608000 ex/a
  d 711 12:34 0 1012608000 ex/sub
  f 644 12:34 2 1012608000 ex/sub/b
COPY --chown=12 file /co2/
  d 755 12:12 0 now co2
  f 644 12:12 3 1012608000 co2/file
COPY --chown=daemon file /co3/
  d 755 1:11 0 now co3
  f 644 1:11 3 1012608000 co3/file
COPY --chown=daemon:tty file /co4/
  d 755 1:5 0 now co4
  f 644 1:5 3 1012608000 co4/file
COPY --chown=nobodyhere:nogroup file /co5/
  d 755 0:0 0 now co5
  f 644 0:0 3 1012608000 co5/file
COPY --chown=:7 file /co6/
  d 755 0:7 0 now co6
  f 644 0:7 3 1012608000 co6/file
COPY --exclude=a --exclude=sub/b src /exc
  d 755 0:0 0 1012608000 exc
  d 711 0:0 0 1012608000 exc/sub
COPY --exclude=sub --exclude=!sub/b src /exc2
  d 755 0:0 0 1012608000 exc2
  f 755 0:0 2 1012608000 exc2/a
  d 711 0:0 0 now exc2/sub
  f 644 0:0 2 1012608000 exc2/sub/b
COPY --from=base /own /fs
  d 755 0:0 0 1046649600 fs
  f 4711 77:88 2 1046649600 fs/f
  d 755 77:88 0 1046649600 fs/sub
COPY --from=base /own/f /fsf
  f 4711 77:88 2 1046649600 fsf
COPY --from=base /own /ex
  d 1777 0:0 0 1046649600 ex
  f 4711 77:88 2 1046649600 ex/f
  d 755 77:88 0 1046649600 ex/sub
COPY --link src /lnk/deep
  d 755 0:0 0 now lnk
  d 755 0:0 0 1012608000 lnk/deep
  f 755 0:0 2 1012608000 lnk/deep/a
  d 711 0:0 0 1012608000 lnk/deep/sub
  f 644 0:0 2 1012608000 lnk/deep/sub/b
COPY --link --chown=5:6 file /ex/lk
  d 755 5:6 0 now ex
  f 644 5:6 3 1012608000 ex/lk
COPY src /merge
  d 755 0:0 0 1012608000 merge
  f 755 0:0 2 1012608000 merge/a
  d 711 0:0 0 1012608000 merge/sub
  f 644 0:0 2 1012608000 merge/sub/b
COPY overdir /ex2
  ! cannot copy to non-directory: /ex2/old
COPY file /same/f
COPY emptydir /ed
  d 755 0:0 0 1012608000 ed
WORKDIR /wd/deep
  d 755 0:0 0 now wd
  d 755 0:0 0 now wd/deep
WORKDIR /links/dang2/wd
  d 755 0:0 0 now nowhere2
  d 755 0:0 0 now nowhere2/deep
  d 755 0:0 0 now nowhere2/deep/wd
WORKDIR /ex
ADD a.tar.gz /unp
  d 755 0:0 0 now unp
  d 2750 100:200 0 1081036800 unp/d
  d 755 0:200 0 now unp/d/e
  f 644 100:200 2 1081036800 unp/d/e/t
  h 644 100:200 0 1081036800 unp/d/h -> unp/d/e/t
  l 777 100:200 0 1795545348 unp/d/l -> e
ADD --chown=9:8 a.tar /unp2/
  d 755 9:8 0 now unp2
  d 2750 9:8 0 1081036800 unp2/d
  d 755 0:8 0 now unp2/d/e
  f 644 9:8 2 1081036800 unp2/d/e/t
  h 644 9:8 0 1081036800 unp2/d/h -> unp2/d/e/t
  l 777 9:8 0 1795545348 unp2/d/l -> e
ADD a.tar /ex
  d 1777 0:0 0 now ex
  d 2750 100:200 0 1081036800 ex/d
  d 755 0:200 0 now ex/d/e
  f 644 100:200 2 1081036800 ex/d/e/t
  h 644 100:200 0 1081036800 ex/d/h -> ex/d/e/t
  l 777 100:200 0 1795545348 ex/d/l -> e
ADD file /unp3/
  d 755 0:0 0 now unp3
  f 644 0:0 3 1012608000 unp3/file
ADD a.tar.bz2 /unp4
  d 755 0:0 0 now unp4
  d 2750 100:200 0 1081036800 unp4/d
  d 755 0:200 0 now unp4/d/e
  f 644 100:200 2 1081036800 unp4/d/e/t
  h 644 100:200 0 1081036800 unp4/d/h -> unp4/d/e/t
  l 777 100:200 0 1795545348 unp4/d/l -> e
ADD a.tar /links/abs
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 now links/real
  d 2750 100:200 0 1081036800 links/real/d
  d 755 0:200 0 now links/real/d/e
  f 644 100:200 2 1081036800 links/real/d/e/t
  h 644 100:200 0 1081036800 links/real/d/h -> links/real/d/e/t
  l 777 100:200 0 1795545348 links/real/d/l -> e
COPY --chmod=u=rwX,go=rX src /zz4/p
  d 755 0:0 0 now zz4
  d 755 0:0 0 1012608000 zz4/p
  f 755 0:0 2 1012608000 zz4/p/a
  d 755 0:0 0 1012608000 zz4/p/sub
  f 644 0:0 2 1012608000 zz4/p/sub/b
COPY --chmod=g+s,o-x,a+w src /zz5
  d 755 0:0 0 1012608000 zz5
  f 2776 0:0 2 1012608000 zz5/a
  d 2732 0:0 0 1012608000 zz5/sub
  f 2666 0:0 2 1012608000 zz5/sub/b
COPY file nope* /zz3/
  d 755 0:0 0 now zz3
  f 644 0:0 3 1012608000 zz3/file
COPY file /same/
  d 755 0:0 0 now same
  f 644 0:0 3 1012608000 same/file
COPY src /
  f 755 0:0 2 1012608000 a
  d 711 0:0 0 1012608000 sub
  f 644 0:0 2 1012608000 sub/b
COPY lnkdir /links/rel/
  d 755 0:0 0 1046649600 links
  d 755 0:0 0 1012608000 links/real
  f 644 0:0 2 1012608000 links/real/b
COPY withlinks/l /ex/tolink
  d 1777 0:0 0 now ex
  f 644 0:0 3 1012608000 ex/old
ADD src /zz6
  d 755 0:0 0 1012608000 zz6
  f 755 0:0 2 1012608000 zz6/a
  d 711 0:0 0 1012608000 zz6/sub
  f 644 0:0 2 1012608000 zz6/sub/b
COPY s* e* /zz7/
  d 755 0:0 0 1012608000 zz7
  f 755 0:0 2 1012608000 zz7/a
  d 711 0:0 0 1012608000 zz7/sub
  f 644 0:0 2 1012608000 zz7/sub/b
COPY file/ /zz8
  f 644 0:0 3 1012608000 zz8
COPY src/ /zz9
  d 755 0:0 0 1012608000 zz9
  f 755 0:0 2 1012608000 zz9/a
  d 711 0:0 0 1012608000 zz9/sub
  f 644 0:0 2 1012608000 zz9/sub/b
COPY --from=base /links /zz12
  d 755 0:0 0 1046649600 zz12
  l 777 0:0 0 1046649600 zz12/abs -> /links/real
  l 777 0:0 0 1046649600 zz12/chain -> abs/../chain2
  l 777 0:0 0 1046649600 zz12/chain2 -> ../c3/../rel
  l 777 0:0 0 1046649600 zz12/dang -> /nowhere/deep
  l 777 0:0 0 1046649600 zz12/dang2 -> ../nowhere2/deep
  f 644 0:0 4 1046649600 zz12/file
  l 777 0:0 0 1046649600 zz12/loop1 -> loop2
  l 777 0:0 0 1046649600 zz12/loop2 -> loop1
  d 755 0:0 0 1046649600 zz12/real
  l 777 0:0 0 1046649600 zz12/rel -> real
  l 777 0:0 0 1046649600 zz12/tofile -> file
  l 777 0:0 0 1046649600 zz12/up -> ../../up
COPY src /links/tofile
  ! cannot copy to non-directory: /links/file
COPY file /ex/old/x
  ! mkdir /ex/old: not a directory
COPY file /ex/old/x/y
  ! lstat /ex/old/x: not a directory
COPY file /ex/old/
  ! mkdir /ex/old: not a directory
COPY file /links/loop1
  ! too many links
COPY nope /x
  ! lstat /nope: no such file or directory
COPY src/nope/x /x
  ! lstat /src/nope/x: no such file or directory
COPY file /hasdir
  ! cannot replace to directory /hasdir/file with file
COPY file/x /x
  ! lstat /file/x: no such file or directory
`
