/* SPDX-License-Identifier: Apache-2.0 */
/**
 * recipe.h - what an image consists of
 *
 * images/<runtime>/recipe.json, compiled into the library together with the files it names:
 *
 *   packages  Debian packages (their dependencies come along)
 *   packageList  where a description of those packages goes, with the files of each
 *   aptSources   where the host's source lists for Debian go, with their keys (etc/apt)
 *   npm       [{package, version, integrity, take, exclude}]; package and integrity may be objects
 *             {"amd64": ..., "arm64": ...}; take maps a path in the package to one in the image
 *   lock      {file, to, exclude}: packages of a dependency tree, installed below "to"
 *   exclude   patterns of what is left out (fnmatch over whole paths), the base's as well
 *   keep      those of the base's patterns that do not count here, spelled as they are there
 *   files     [{file, to, mode}]: files of the recipe's own folder
 *   links     {path: target}; applets: names that busybox serves unless something else does
 *   dirs      empty directories; caBundle: where the host's CA certificates go
 *   env       {name: value}, defaults of the image
 *   run       {file, take}: a script run in a sandbox over the layers so far; it writes a tar, of
 *             which the paths that match "take" are added
 */
#ifndef OCI_RECIPE_H
#define OCI_RECIPE_H

#include "base/hash.h"
#include "base/json.h"

enum {
    RECIPE_LIST_MAX = 512,     /* elements of one list */
    RECIPE_JSON_MAX = 1 << 20, /* bytes of one document */
};

/* Part of every build hash: raise it when the builder puts something else on the disk. */
#define RECIPE_FORMAT "3"

struct recipe_file {
    const char *dir;
    const char *name;
    const unsigned char *data;
    const unsigned char *end;
};

/** A compiled-in file of images/<dir>/, or NULL. */
const struct recipe_file *recipe_file_find(const char *dir, const char *name);

/** Every compiled-in file, ended by a NULL dir; files of one folder in a fixed order. */
const struct recipe_file *recipe_files(void);

struct recipe_list {
    const char **items; /* array owned, strings borrowed from the documents */
    size_t n;
};

struct recipe_pair {
    const char *key; /* borrowed from the documents */
    const char *value;
};

struct recipe_pairs {
    struct recipe_pair *items; /* owned */
    size_t n;
};

struct recipe_npm {
    const char *package;
    const char *version;
    const char *integrity;    /* "sha512-<base64>" */
    struct recipe_pairs take; /* "" as a key is the whole package */
    struct recipe_list exclude;
    const char *lock_path; /* of a package of the lock: its place below lock_to; else NULL */
};

struct recipe_copy {
    const char *file;
    const char *to;
    unsigned mode;
};

struct recipe {
    cJSON *doc;  /* owned: recipe.json */
    cJSON *lock; /* owned: the lock's document, or NULL */
    struct recipe_list packages, exclude, keep, applets, dirs, run_take, lock_exclude;
    struct recipe_pairs links, env;
    struct recipe_npm *npm; /* the lock's packages included */
    size_t n_npm;
    struct recipe_copy *files;
    size_t n_files;
    const char *ca_bundle;    /* or NULL */
    const char *package_list; /* or NULL */
    const char *apt_sources;  /* or NULL */
    const char *lock_to;      /* or NULL */
    const char *run_file;     /* or NULL */
};

void recipe_done(struct recipe *r); /* zeroed or half-filled is fine */

/**
 * recipe_parse() - Read a recipe for one architecture
 * @arch: "amd64" or "arm64"
 * @lock, @n_lock: Text of the lock's document; NULL: the one compiled in is looked up in @dir
 *
 * Every path is checked with tar_name_ok().
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_LIMIT, ISOL8_E_NOMEM
 */
int recipe_parse(struct recipe *out, const char *dir, const char *arch, const char *text, size_t n,
                 const char *lock, size_t n_lock, isol8_error *err);

/** recipe_parse() for a compiled-in recipe. ISOL8_E_INVAL when there is none for @runtime. */
int recipe_load(struct recipe *out, const char *runtime, isol8_error *err);

/**
 * recipe_hash() - The build hash: base's and the image's files, and the CA bundle they embed
 * @extra: More content the image depends on, may be NULL
 */
int recipe_hash(const char *runtime, const void *extra, size_t n_extra,
                char out[HASH_SHA256_HEX_SIZE], isol8_error *err);

/** True for "sha512-" and the base64 form of 64 bytes. */
bool recipe_integrity_ok(const char *integrity);

#endif
