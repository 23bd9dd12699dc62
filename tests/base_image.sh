#!/bin/sh
# base_image.sh TAG PREFIX: make a stand-in for the Dockerfile's base image, where no registry of images is reached:
# Debian's base system, from where this machine has its packages, with the Python that has this prefix here.
set -eu
tag=$1 prefix=$2
. /etc/os-release
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
if [ "$prefix" = /usr ]; then
    packages=python3,python3-pip
else # what its modules are linked with
    packages=$(find "$prefix/lib" -name '*.so*' -not -name '_tkinter*' -not -path '*/site-packages/*' -exec ldd {} + \
        2>/dev/null | sed -n "\|=> $prefix|d; s|.*=> .*/\([^ ]*\) .*|*/\1|p" | sort -u |
        xargs dpkg-query --search 2>/dev/null | sed 's/:.*//' | sort -u | paste -s -d ,)
fi
debootstrap --variant=minbase --include="ca-certificates,$packages" "$VERSION_CODENAME" "$root" "$mirror"
if [ "$prefix" = /usr ]; then
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
    ln -s /usr/bin/python3 "$root/usr/local/bin/python"
else
    cp -a "$prefix/." "$root/usr/local/"
    sed -i '1s|^#!.*python[0-9.]*$|#!/usr/local/bin/python3|' "$root"/usr/local/bin/pip*
    for name in python pip; do [ -e "$root/usr/local/bin/$name" ] || ln -s "${name}3" "$root/usr/local/bin/$name"; done
    chroot "$root" /sbin/ldconfig
fi
container=$(buildah from scratch)
cp -a "$root/." "$(buildah mount "$container")/"
buildah umount "$container"
bundle=/etc/ssl/certs/ca-certificates.crt
buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env SSL_CERT_FILE=$bundle --env PIP_CERT=$bundle "$container"
buildah commit --quiet "$container" "$tag"
buildah rm "$container"
