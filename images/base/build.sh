# SPDX-License-Identifier: Apache-2.0
# Runs inside a sandbox over the base layer; what it writes to standard output is added to it.
# Without the linker's cache every program start searches the library directories.
set -eu
mkdir etc
/usr/sbin/ldconfig -i -X -C "$PWD/etc/ld.so.cache"
tar -cf - etc/ld.so.cache
