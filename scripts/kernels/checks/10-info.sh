# tsbuild info finds an isolation, and the ids that this user has.
tsbuild info
case $(id -un) in
root) wanted='namespace: works, with every user id' ;;
sub) wanted='rootless: works, with subordinate user ids' ;;
single) wanted='rootless: works, with one user id' ;;
esac
tsbuild info | grep -qF "$wanted" || fail "info does not say '$wanted'"
