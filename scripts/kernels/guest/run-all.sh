# Inside the machine, as root, started by kernels.service: runs every check for every kind of user and tells the second
# serial line what came of it. What it says, one a line: `run NAME USER`, `out TEXT`, `ok NAME USER SECONDS`,
# `FAILED NAME USER SECONDS`, `kernel RELEASE`, `end`.
payload=/opt/kernels
here=$payload/scripts/kernels
exec > /dev/ttyS1 2>&1 < /dev/null

seconds() { cut -d. -f1 /proc/uptime; }

# A session of that user's own systemd, whose cgroup is delegated to the user, as after a log-in.
as() {
  user=$1
  shift
  case $user in
  root) systemd-run --quiet --pipe --wait --collect -p Delegate=yes --setenv=HOME=/root "$@" ;;
  *) systemd-run --quiet --pipe --wait --collect --user --machine="$user@.host" -p Delegate=yes "$@" ;;
  esac
}

run() {
  name=$1 user=$2 file=$3
  echo "run $name $user"
  from=$(seconds)
  if as "$user" timeout -k 5 "${CHECK_SECONDS:-300}" /bin/sh "$here/guest/run-one.sh" "$file" > /run/check.log 2>&1
  then word=ok
  else word=FAILED
  fi
  case $word in
  ok) grep -a '^same ' /run/check.log ;;
  FAILED) tail -n 60 /run/check.log ;;
  esac | sed 's/^/out /'
  echo "$word $name $user $(($(seconds) - from))"
}

echo "kernel $(uname -r)"
for user in sub single; do
  mkdir -p "/home/$user"
  chown "$user:$user" "/home/$user"
  chmod 700 "/home/$user"
  loginctl enable-linger "$user"
done
# shellcheck disable=SC2013 # names of files of ours
for name in $(cat "$payload/checks"); do
  file=$here/checks/$name.sh
  users=$(sed -n 's/^# users: //p' "$file")
  for user in ${users:-root sub single}; do run "$name" "$user" "$file"; done
done
echo end
