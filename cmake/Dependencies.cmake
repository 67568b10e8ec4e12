# SPDX-License-Identifier: Apache-2.0
# Finds what the build needs. Linked at build time: cJSON, and by isol8-server libmicrohttpd. Loaded
# at run time on first use (so only their sonames matter, see base/dl.h): libcrypto, libcurl,
# libarchive, libnftables, libpcre2, libidn2, and with their headers libmnl, c-ares, wslay, SQLite,
# libpq and the C client of MariaDB. libseccomp checks the built-in profile while it is generated.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.70)
pkg_check_modules(MNL REQUIRED libmnl)
pkg_check_modules(CARES REQUIRED libcares)
find_path(WSLAY_INCLUDE wslay/wslay.h REQUIRED)
pkg_check_modules(SQLITE REQUIRED sqlite3)
pkg_check_modules(PQ REQUIRED libpq)
pkg_check_modules(MARIADB REQUIRED libmariadb)
