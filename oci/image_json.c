/* SPDX-License-Identifier: Apache-2.0 */
/* image_json.c - read and write the JSON documents of an OCI image layout. */
#include "oci/image_json.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { DIGEST_HEX = 64 };

bool oci_digest_ok(const char *digest)
{
    if (digest == NULL || strncmp(digest, "sha256:", 7) != 0)
        return false;
    return strlen(digest + 7) == DIGEST_HEX && strspn(digest + 7, "0123456789abcdef") == DIGEST_HEX;
}

const char *oci_digest_hex(const char *digest)
{
    return digest + 7;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool name_ok(const char *name)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-";
    size_t n = strlen(name);

    return n > 0 && strspn(name, first) > 0 && strspn(name, all) == n &&
           strstr(name, "..") == NULL && strstr(name, "//") == NULL && name[n - 1] != ':' &&
           name[n - 1] != '/';
}

int oci_name_check(const char *name, char *out, isol8_error *err)
{
    if (name == NULL || !name_ok(name))
        return err_set(err, ISOL8_E_INVAL, "invalid image name '%.140s'", name != NULL ? name : "");

    const char *slash = strrchr(name, '/');
    bool has_tag = strchr(slash != NULL ? slash : name, ':') != NULL;
    int n = snprintf(out, OCI_NAME_MAX + 1, "%s%s", name, has_tag ? "" : ":latest");
    if (n > OCI_NAME_MAX)
        return err_set(err, ISOL8_E_INVAL, "image name is longer than %d bytes: '%.40s...'",
                       OCI_NAME_MAX, name);
    return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

const char *oci_index_name(const cJSON *entry)
{
    return json_string(cJSON_GetObjectItemCaseSensitive(entry, "annotations"), OCI_REF_NAME);
}

const cJSON *oci_index_find(const cJSON *index, const char *name)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(index, "manifests"))
    {
        const char *have = oci_index_name(entry);
        if (have != NULL && strcmp(have, name) == 0)
            return entry;
    }
    return NULL;
}

int oci_descriptor_parse(const cJSON *obj, struct oci_descriptor *out, isol8_error *err)
{
    const char *digest = json_string(obj, "digest");
    const char *type = json_string(obj, "mediaType");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(obj, "size");

    if (!oci_digest_ok(digest) || type == NULL || strlen(type) >= sizeof(out->media_type) ||
        !cJSON_IsNumber(size) || !(size->valuedouble >= 0 && size->valuedouble < 1e15))
        return err_set(err, ISOL8_E_IMAGE, "damaged image: bad descriptor");
    memcpy(out->media_type, type, strlen(type) + 1);
    memcpy(out->digest, digest, OCI_DIGEST_SIZE);
    out->size = (uint64_t)size->valuedouble;
    return 0;
}

static int parse_object(cJSON **out, const char *text, size_t n, const char *what, isol8_error *err)
{
    auto_json cJSON *j = NULL;

    int r = json_parse(&j, text, n, what, err);
    if (r == ISOL8_E_INVAL)
        return err_wrap(err, ISOL8_E_IMAGE, "damaged image");
    if (r < 0)
        return r;
    if (!cJSON_IsObject(j))
        return err_set(err, ISOL8_E_IMAGE, "damaged image: %s is no object", what);
    *out = take_ptr(&j);
    return 0;
}

int oci_index_parse(cJSON **out, const char *text, size_t n, isol8_error *err)
{
    auto_json cJSON *j = NULL;

    int r = parse_object(&j, text, n, "index.json", err);
    if (r < 0)
        return r;
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(j, "manifests")))
        return err_set(err, ISOL8_E_IMAGE, "damaged image store: index.json has no manifests");
    *out = take_ptr(&j);
    return 0;
}

int oci_manifest_parse(struct oci_manifest *out, const char *text, size_t n, isol8_error *err)
{
    auto_json cJSON *j = NULL;
    const cJSON *layer;

    int r = parse_object(&j, text, n, "manifest", err);
    if (r < 0)
        return r;
    r = oci_descriptor_parse(cJSON_GetObjectItemCaseSensitive(j, "config"), &out->config, err);
    if (r < 0)
        return r;
    out->n_layers = 0;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(j, "layers"))
    {
        if (out->n_layers == OCI_LAYERS_MAX)
            return err_set(err, ISOL8_E_LIMIT, "image has more than %d layers", OCI_LAYERS_MAX);
        r = oci_descriptor_parse(layer, &out->layers[out->n_layers++], err);
        if (r < 0)
            return r;
    }
    if (out->n_layers == 0)
        return err_set(err, ISOL8_E_IMAGE, "damaged image: no layers");
    return 0;
}

int oci_config_parse(cJSON **out, const char *text, size_t n, size_t n_layers,
                     const char *diff_ids[OCI_LAYERS_MAX], isol8_error *err)
{
    auto_json cJSON *j = NULL;
    const cJSON *id;
    size_t i = 0;

    int r = parse_object(&j, text, n, "image config", err);
    if (r < 0)
        return r;
    const cJSON *rootfs = cJSON_GetObjectItemCaseSensitive(j, "rootfs");
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(rootfs, "diff_ids"))
    {
        if (i == n_layers || !cJSON_IsString(id) || !oci_digest_ok(id->valuestring))
            return err_set(err, ISOL8_E_IMAGE, "damaged image: bad diff ids");
        diff_ids[i++] = id->valuestring;
    }
    if (i != n_layers)
        return err_set(err, ISOL8_E_IMAGE, "damaged image: layers without diff id");
    *out = take_ptr(&j);
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* cJSON keeps nothing on failure, and @item may be NULL already. */
static bool add(cJSON *to, const char *key, cJSON *item)
{
    bool ok = key != NULL ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item);

    if (!ok)
        cJSON_Delete(item);
    return ok;
}

cJSON *oci_descriptor_json(const struct oci_descriptor *d)
{
    auto_json cJSON *j = cJSON_CreateObject();

    if (j == NULL || cJSON_AddStringToObject(j, "mediaType", d->media_type) == NULL ||
        cJSON_AddStringToObject(j, "digest", d->digest) == NULL ||
        cJSON_AddNumberToObject(j, "size", (double)d->size) == NULL)
        return NULL;
    return take_ptr(&j);
}

cJSON *oci_manifest_json(const struct oci_manifest *m)
{
    auto_json cJSON *j = cJSON_CreateObject();

    if (j == NULL || cJSON_AddNumberToObject(j, "schemaVersion", 2) == NULL ||
        cJSON_AddStringToObject(j, "mediaType", OCI_TYPE_MANIFEST) == NULL ||
        !add(j, "config", oci_descriptor_json(&m->config)))
        return NULL;
    cJSON *layers = cJSON_AddArrayToObject(j, "layers");
    for (size_t i = 0; i < m->n_layers; i++) {
        if (!add(layers, NULL, oci_descriptor_json(&m->layers[i])))
            return NULL;
    }
    return layers != NULL ? take_ptr(&j) : NULL;
}
