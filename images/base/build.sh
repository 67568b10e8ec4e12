# SPDX-License-Identifier: Apache-2.0
# Runs inside a sandbox over the base layer; what it writes to standard output is added to it.
set -eu
list=usr/lib/isol8/base-packages
mkdir -p etc "${list%/*}"

# Without the linker's cache every program start searches the library directories.
/usr/sbin/ldconfig -i -X -C "$PWD/etc/ld.so.cache"

# A part that a package cannot do without: programs, libraries, modules of Perl.
matters() {
    case ${1#usr/} in
    */gconv/* | */audit/*) return 1 ;;
    bin/* | sbin/* | lib/*.so | lib/*.so.* | lib/*/perl* | share/perl*) ;;
    *) return 1 ;;
    esac
}

# Packages of which nothing that matters was left out, in the form of dpkg's status file: whoever
# installs a package later need not download what it finds here. What the image is meant to offer
# counts as well, although parts that are of no use here are missing.
stanza='' whole=no
while IFS= read -r line; do
    case $line in
    '')
        [ $whole = no ] || [ $whole = never ] || printf '%sStatus: install ok installed\n\n' "$stanza"
        stanza='' whole=no
        ;;
    ' '*)
        file=${line#*  }
        [ $whole != no ] || whole=yes
        if [ $whole = yes ] && matters "$file" && [ ! -e "/$file" ]; then whole=never; fi
        ;;
    'Package: bash' | 'Package: debianutils' | 'Package: git' | 'Package: libc-bin' | 'Package: tar')
        stanza="$line
" whole=always
        ;;
    *) stanza="$stanza$line
" ;;
    esac
done <"/$list" >"$list"

tar -cf - etc/ld.so.cache "$list"
