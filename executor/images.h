/* SPDX-License-Identifier: Apache-2.0 */
/**
 * images.h - which image a request runs in, and which of its packages are not in it
 *
 * What is known of the images is read when it is first needed, and again when the store's index has
 * changed. A request without packages and without an image of its own needs none of it.
 */
#ifndef EXECUTOR_IMAGES_H
#define EXECUTOR_IMAGES_H

#include <stddef.h>

#include "executor/runtimes.h"
#include "oci/store.h"

struct isol8_host;
struct exec_images; /* what is known of a store's images; safe to use from several threads */

int exec_images_new(struct exec_images **out, isol8_error *err);
void exec_images_free(struct exec_images *images);

struct exec_image_choice {
    char name[OCI_NAME_MAX + 1]; /* "host": the machine's own /usr */
    const char **missing;        /* packages to install; array owned, strings the caller's */
    size_t n_missing;
    char *setup; /* script to run before the code, owned; NULL: none */
};

/**
 * exec_image_choose() - Choose an image
 * @override: The image that was asked for, or NULL: it is used whatever it has
 * @packages: Those of the request; compared with an image's list as text
 *
 * Without an override: the image of this runtime that has exactly these packages, else the one
 * with the fewest others, else the base image. An image that is not in the store is no error here:
 * it becomes one when the sandbox is made.
 * Return: 0, ISOL8_E_INVAL for a name that is too long, ISOL8_E_NOMEM, ISOL8_E_SYS, ISOL8_E_IMAGE
 */
int exec_image_choose(struct isol8_host *h, const struct exec_runtime *rt, const char *override,
                      const char *const *packages, size_t n, struct exec_image_choice *out,
                      isol8_error *err);
void exec_image_choice_done(struct exec_image_choice *choice); /* zeroed is fine */

#endif
