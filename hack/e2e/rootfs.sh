#!/usr/bin/env bash
# rootfs.sh KIND DIR [AGNHOST COREDNS]: fills DIR with what the specs expect of an
# image, from this machine's Debian packages. KIND musl has agnhost, CoreDNS and
# a getent that uses musl's resolver, as Alpine does; KIND glibc has Debian's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kind=$1
out=$2

rm -rf "$out"
mkdir -p "$out"/{bin,usr/bin,etc,tmp,proc,sys,dev,results,root,var/run,uploads}
chmod 1777 "$out/tmp"

busybox=$(command -v busybox)
cp "$busybox" "$out/bin/busybox"
for applet in $("$busybox" --list); do
	[ "$applet" = busybox ] || ln -s /bin/busybox "$out/bin/$applet"
done

# The real programs, where the specs use more than busybox's can do. A shell of
# its own is needed because busybox's prefers its own applets to programs.
"$here/add.sh" "$out" dig curl wget ss nc.openbsd dash bash getent
mv "$out/usr/bin/nc.openbsd" "$out/usr/bin/nc"
rm -f "$out"/bin/{nc,ss,wget,getent,sh,bash}
ln -s /usr/bin/dash "$out/bin/sh"
ln -s /usr/bin/bash "$out/bin/bash"
for lib in /lib/*-linux-gnu/libnss_{files,dns}.so.2; do
	[ ! -e "$lib" ] || cp -L "$lib" "$out$lib"
done
echo 'hosts: files dns' >"$out/etc/nsswitch.conf"
echo 'root:x:0:0:root:/root:/bin/sh' >"$out/etc/passwd"
echo 'root:x:0:' >"$out/etc/group"

if [ "$kind" = musl ]; then
	musl-gcc -static -O2 -o "$out/usr/bin/getent" "$here/getent.c"
	install -m 755 "$3" "$out/agnhost"
	ln -s agnhost "$out/agnhost-2"
	install -m 755 "$4" "$out/coredns"
fi
