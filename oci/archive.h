/* SPDX-License-Identifier: Apache-2.0 */
/* archive.h - the functions of libarchive that tar.c and tar_pack.c use, loaded on first use. */
#ifndef OCI_ARCHIVE_H
#define OCI_ARCHIVE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/err.h"

struct archive;       /* libarchive's */
struct archive_entry; /* libarchive's */

/* Results of libarchive's functions, see archive.h(3). */
enum { ARCHIVE_EOF = 1, ARCHIVE_OK = 0, ARCHIVE_WARN = -20 };

typedef ssize_t (*archive_read_fn)(struct archive *a, void *user, const void **buffer);
typedef ssize_t (*archive_write_fn)(struct archive *a, void *user, const void *buffer, size_t n);

/* Signatures of libarchive 3, soname libarchive.so.13. */
struct archive_lib {
    const char *(*error_string)(struct archive *a);

    struct archive *(*read_new)(void);
    int (*read_free)(struct archive *a);
    int (*read_support_format_tar)(struct archive *a);
    int (*read_support_filter_gzip)(struct archive *a);
    int (*read_support_filter_zstd)(struct archive *a);
    int (*read_open)(struct archive *a, void *user, int (*open)(struct archive *, void *),
                     archive_read_fn read, int (*close)(struct archive *, void *));
    int (*read_next_header)(struct archive *a, struct archive_entry **entry);
    int (*read_data_block)(struct archive *a, const void **buffer, size_t *n, int64_t *offset);

    const char *(*entry_pathname)(struct archive_entry *e);
    const char *(*entry_pathname_utf8)(struct archive_entry *e);
    const char *(*entry_symlink)(struct archive_entry *e);
    const char *(*entry_symlink_utf8)(struct archive_entry *e);
    const char *(*entry_hardlink)(struct archive_entry *e);
    mode_t (*entry_filetype)(struct archive_entry *e);
    mode_t (*entry_perm)(struct archive_entry *e);
    int64_t (*entry_size)(struct archive_entry *e);

    struct archive *(*write_new)(void);
    int (*write_free)(struct archive *a);
    int (*write_set_format_pax_restricted)(struct archive *a);
    int (*write_set_format_raw)(struct archive *a);
    int (*write_add_filter_zstd)(struct archive *a);
    int (*write_add_filter_gzip)(struct archive *a);
    int (*write_set_bytes_per_block)(struct archive *a, int n);
    int (*write_set_bytes_in_last_block)(struct archive *a, int n);
    int (*write_open)(struct archive *a, void *user, int (*open)(struct archive *, void *),
                      archive_write_fn write, int (*close)(struct archive *, void *));
    int (*write_header)(struct archive *a, struct archive_entry *e);
    ssize_t (*write_data)(struct archive *a, const void *buffer, size_t n);
    int (*write_close)(struct archive *a);

    struct archive_entry *(*entry_new)(void);
    void (*entry_free)(struct archive_entry *e);
    void (*entry_set_pathname)(struct archive_entry *e, const char *name);
    void (*entry_set_symlink)(struct archive_entry *e, const char *target);
    void (*entry_set_hardlink)(struct archive_entry *e, const char *target);
    void (*entry_set_filetype)(struct archive_entry *e, unsigned type);
    void (*entry_set_perm)(struct archive_entry *e, mode_t perm);
    void (*entry_set_size)(struct archive_entry *e, int64_t n);
    void (*entry_set_mtime)(struct archive_entry *e, time_t sec, long nsec);
};

/** The loaded functions, or ISOL8_E_UNSUPPORTED when this machine lacks libarchive. */
int archive_lib_get(const struct archive_lib **out, isol8_error *err);

#endif
