/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_image_json.c - index, manifest and config of an image, damaged in any way. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/image_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_index(const char *text, size_t n)
{
    auto_json cJSON *index = NULL;
    struct oci_descriptor d;

    if (oci_index_parse(&index, text, n, NULL) < 0)
        return;
    const cJSON *entry = oci_index_find(index, "isol8:python");
    if (entry != NULL && oci_descriptor_parse(entry, &d, NULL) == 0 && !oci_digest_ok(d.digest))
        abort();
}

static void fuzz_manifest(const char *text, size_t n)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));

    if (m == NULL || oci_manifest_parse(m, text, n, NULL) < 0)
        return;
    auto_json cJSON *doc = oci_manifest_json(m);
    if (doc == NULL || m->n_layers > OCI_LAYERS_MAX)
        abort();
}

static void fuzz_config(const char *text, size_t n)
{
    const char *diff_ids[OCI_LAYERS_MAX];
    isol8_error err;

    for (size_t layers = 0; layers < 3; layers++) {
        auto_json cJSON *config = NULL;
        (void)oci_config_parse(&config, text, n, layers, diff_ids, &err);
    }
}

static void fuzz_name(const char *text, size_t n)
{
    char name[256], out[OCI_NAME_MAX + 1];

    if (n >= sizeof(name))
        return;
    memcpy(name, text, n);
    name[n] = '\0';
    if (oci_name_check(name, out, NULL) == 0 && (out[0] == '/' || strstr(out, "..") != NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;

    fuzz_index(text, n);
    fuzz_manifest(text, n);
    fuzz_config(text, n);
    fuzz_name(text, n);
    return 0;
}
