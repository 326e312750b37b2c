#!/bin/sh
# apt.sh COMMAND=PACKAGE...: installs each Debian PACKAGE whose COMMAND (a name or a
# path) is missing. Without root it only says what to install.
set -eu

want=""
for pair in "$@"; do
	command -v "${pair%%=*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%=*}" ] || want="$want ${pair#*=}"
done
[ -n "$want" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing Debian packages:$want (as root: apt-get install$want)" >&2
	exit 1
fi
echo "installing$want" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
# Keep packages from starting services on the build machine.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	made=1
fi
status=0
# shellcheck disable=SC2086 # a list of package names
apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends $want >&2 || status=$?
[ -z "$made" ] || rm -f "$policy"
exit "$status"
