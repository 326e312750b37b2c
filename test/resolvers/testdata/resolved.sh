#!/bin/sh
# resolved.sh DIR: runs the systemd-resolved unpacked in DIR, as the stub on
# 127.0.0.53 before the server on 127.0.0.1. To be run in a mount namespace.
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd /run/conf
for file in passwd group; do
	cp /etc/$file /run/$file
	mount --bind /run/$file /etc/$file
done
echo 'systemd-resolve:x:997:997::/:/usr/sbin/nologin' >>/run/passwd
echo 'systemd-resolve:x:997:' >>/run/group
cat >/run/conf/resolved.conf <<CONF
[Resolve]
DNS=127.0.0.1
Domains=~.
DNSSEC=no
LLMNR=no
MulticastDNS=no
Cache=no
CONF
mkdir -p /etc/systemd
mount --bind /run/conf /etc/systemd
LD_LIBRARY_PATH=$(dirname "$(find "$1" -name 'libsystemd-shared-*.so' | head -n 1)")
export LD_LIBRARY_PATH
exec "$1/lib/systemd/systemd-resolved"
