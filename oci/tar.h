/* SPDX-License-Identifier: Apache-2.0 */
/* tar.h - unpack foreign tar streams without trusting them; pack a directory as an image layer. */
#ifndef OCI_TAR_H
#define OCI_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

enum {
    TAR_NAME_MAX = 1024,      /* bytes of an entry's name, and of a link's target */
    TAR_DEPTH_MAX = 64,       /* components of a name */
    TAR_ENTRIES_MAX = 400000, /* entries of one stream */
};

#define TAR_BYTES_MAX (8ULL << 30) /* unpacked bytes of one stream */

struct tar_unpack_args {
    int in_fd;            /* the stream, plain or compressed by gzip or zstd */
    int dir_fd;           /* where it goes */
    uint64_t bytes_max;   /* 0: TAR_BYTES_MAX */
    uint64_t entries_max; /* 0: TAR_ENTRIES_MAX */
    int cancel_fd;        /* readable: stop; -1: none */
    /**
     * Choose an entry and its place; NULL takes everything as it is named.
     * @name: Checked: relative, no "." or ".." component, no empty one; "a/b"
     * @out:  Room for the new name; checked by the same rules afterwards
     * Return: true to unpack it as @out, false to leave it out
     */
    bool (*map)(const char *name, char out[TAR_NAME_MAX + 1], void *user);
    void *user;
};

/**
 * tar_unpack() - Unpack a hostile tar stream below a directory
 *
 * Takes regular files, directories and symlinks that point inside; anything else (devices, fifos,
 * hard links, links that leave the directory, names with "..") is ISOL8_E_PROTOCOL. No component
 * of a name is followed when it is a symlink. Owner and times are the caller's and now; modes lose
 * set-id and write bits of others and are readable by all. An existing file is replaced.
 * On failure what was unpacked so far stays: the caller removes the directory.
 * Return: 0, ISOL8_E_PROTOCOL, ISOL8_E_LIMIT, ISOL8_E_CANCELLED, ISOL8_E_SYS, ISOL8_E_UNSUPPORTED
 */
int tar_unpack(const struct tar_unpack_args *args, isol8_error *err);

/** True when @name may be an entry's name: relative, clean, within the ceilings. */
bool tar_name_ok(const char *name);

/** True when a symlink at @name may have @target: it stays below the root both are relative to. */
bool tar_link_ok(const char *name, const char *target);

struct tar_packed {
    char diff_id[HASH_SHA256_HEX_SIZE]; /* of the plain tar */
    char digest[HASH_SHA256_HEX_SIZE];  /* of the compressed bytes */
    uint64_t size;                      /* of the compressed bytes */
    const char *media_type;             /* static */
};

/**
 * tar_pack() - Write a directory as a compressed image layer
 * @dir_fd: The tree; only files, directories and symlinks (ISOL8_E_INVAL for others)
 * @out_fd: Gets the compressed tar
 *
 * The same tree gives the same bytes: sorted names, owner 0:0, times 0.
 * Return: 0, ISOL8_E_CANCELLED, ISOL8_E_SYS, ISOL8_E_INVAL, ISOL8_E_UNSUPPORTED
 */
int tar_pack(int dir_fd, int out_fd, int cancel_fd, struct tar_packed *out, isol8_error *err);

#endif
