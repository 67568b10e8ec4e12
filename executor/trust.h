/* SPDX-License-Identifier: Apache-2.0 */
/* trust.h - certificates that a sandbox trusts beyond its image's. */
#ifndef EXECUTOR_TRUST_H
#define EXECUTOR_TRUST_H

#include "base/err.h"

#define TRUST_BUNDLE_PATH "/etc/ssl/certs/ca-certificates.crt"
#define TRUST_FILE_NAME "ca.pem" /* in the sandbox's directory */

enum { TRUST_BUNDLE_MAX = 8 << 20 };

/**
 * trust_write_bundle() - Write image's certificates and @ca_file together as TRUST_FILE_NAME
 * @layers: The image's layers, top first; none for the image "host": the machine's own bundle
 *
 * Return: 0, ISOL8_E_INVAL when @ca_file holds no certificate, ISOL8_E_SYS, ISOL8_E_LIMIT
 */
int trust_write_bundle(int bundle_dir, const char *const *layers, size_t n_layers,
                       const char *ca_file, isol8_error *err);

#endif
