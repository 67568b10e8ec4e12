/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cache.h - fetched code by its SHA-256: one file <data>/code-cache/<hash> each
 *
 * Only what was fetched with a hash given is kept, under that hash; so an entry is right or it is
 * none, and every read finds out which. Files appear whole, by rename; any number of processes may
 * read, write and remove at the same time. The age of an entry is that of its file; reading it does
 * not make it younger. A folder that cannot be made or written to is no cache, never an error.
 */
#ifndef EXECUTOR_REMOTE_CACHE_H
#define EXECUTOR_REMOTE_CACHE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

#define REMOTE_CACHE_DIR "code-cache" /* below the data root */
#define REMOTE_CACHE_BYTES_MAX ((uint64_t)256 << 20)

enum {
    REMOTE_CACHE_FILES_MAX = 4096,
    REMOTE_CACHE_JUNK_S = 3600, /* files that are no entries are removed when they are so old */
};

struct remote_cache {
    const char *data_root;
    const struct log *log;
};

/** Append the entry of @hash to @out, unless it is older than @ttl_s or larger than @max_bytes.
 * What is not what its name says is removed. Return: whether there is one. */
bool remote_cache_get(const struct remote_cache *c, const char *hash, int64_t ttl_s,
                      uint64_t max_bytes, struct buf *out);

/** Keep @data, whose SHA-256 is @hash, and remove the oldest entries above the limits. */
void remote_cache_put(const struct remote_cache *c, const char *hash, const void *data, size_t n);

/** Remove everything; with @is_dry only count. Return: files. */
size_t remote_cache_clear(const struct remote_cache *c, bool is_dry);

#endif
