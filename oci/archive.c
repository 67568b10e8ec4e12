/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c - loads libarchive. */
#include "oci/archive.h"

#include <pthread.h>
#include <stddef.h>

#include "base/dl.h"

static struct archive_lib lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "archive_error_string", &lib.error_string },
        { "archive_read_new", &lib.read_new },
        { "archive_read_free", &lib.read_free },
        { "archive_read_support_format_tar", &lib.read_support_format_tar },
        { "archive_read_support_filter_gzip", &lib.read_support_filter_gzip },
        { "archive_read_support_filter_zstd", &lib.read_support_filter_zstd },
        { "archive_read_open", &lib.read_open },
        { "archive_read_next_header", &lib.read_next_header },
        { "archive_read_data_block", &lib.read_data_block },
        { "archive_entry_pathname", &lib.entry_pathname },
        { "archive_entry_pathname_utf8", &lib.entry_pathname_utf8 },
        { "archive_entry_symlink", &lib.entry_symlink },
        { "archive_entry_symlink_utf8", &lib.entry_symlink_utf8 },
        { "archive_entry_hardlink", &lib.entry_hardlink },
        { "archive_entry_filetype", &lib.entry_filetype },
        { "archive_entry_perm", &lib.entry_perm },
        { "archive_entry_size", &lib.entry_size },
        { "archive_write_new", &lib.write_new },
        { "archive_write_free", &lib.write_free },
        { "archive_write_set_format_pax_restricted", &lib.write_set_format_pax_restricted },
        { "archive_write_set_format_raw", &lib.write_set_format_raw },
        { "archive_write_add_filter_zstd", &lib.write_add_filter_zstd },
        { "archive_write_add_filter_gzip", &lib.write_add_filter_gzip },
        { "archive_write_set_bytes_per_block", &lib.write_set_bytes_per_block },
        { "archive_write_set_bytes_in_last_block", &lib.write_set_bytes_in_last_block },
        { "archive_write_open", &lib.write_open },
        { "archive_write_header", &lib.write_header },
        { "archive_write_data", &lib.write_data },
        { "archive_write_close", &lib.write_close },
        { "archive_entry_new", &lib.entry_new },
        { "archive_entry_free", &lib.entry_free },
        { "archive_entry_set_pathname", &lib.entry_set_pathname },
        { "archive_entry_set_symlink", &lib.entry_set_symlink },
        { "archive_entry_set_hardlink", &lib.entry_set_hardlink },
        { "archive_entry_set_filetype", &lib.entry_set_filetype },
        { "archive_entry_set_perm", &lib.entry_set_perm },
        { "archive_entry_set_size", &lib.entry_set_size },
        { "archive_entry_set_mtime", &lib.entry_set_mtime },
        { NULL, NULL },
    };

    load_status = dl_load("libarchive.so.13", symbols, &load_error);
}

int archive_lib_get(const struct archive_lib **out, isol8_error *err)
{
    (void)pthread_once(&load_once, load);
    if (load_status < 0) {
        if (err != NULL)
            *err = load_error;
        return load_status;
    }
    *out = &lib;
    return 0;
}
