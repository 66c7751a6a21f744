# As one user: runs the check that the first argument names, in an empty directory and with `tsbuild` and `node` in PATH.
payload=${KERNELS_PAYLOAD:-/opt/kernels}
export KERNELS_PAYLOAD=$payload
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export PATH="$payload/bin:$payload/scripts/kernels/guest/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export LC_ALL=C.UTF-8
work=$HOME/check
chmod -R u+rwx "$work" 2> /dev/null
rm -rf "$work"
mkdir "$work"
cd "$work" || exit 1

# same NAME VALUE: the value has to be the same for every user and on every kernel.
same() { echo "same $1 $2"; }

# fail TEXT: ends the check.
fail() {
  echo "$*"
  exit 1
}

set -eu
. "$1"
