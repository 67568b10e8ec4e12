/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - code from an address: the checks of the policy, in its order, hop by hop. */
#include "executor/remote/fetch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "executor/trust.h"

static bool has_bom(const struct buf *body)
{
    return body->len >= 3 && memcmp(body->data, "\xef\xbb\xbf", 3) == 0;
}

/* ---- Code -------------------------------------------------------------------------------------
 */

void remote_code_unref(struct remote_code *c)
{
    if (c == NULL || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(c->data);
    free(c);
}

/* The given hash is of the bytes as received, or of them without their byte order mark. */
static int check_hash(const struct buf *body, const char *hash, const char *own_hash,
                      isol8_error *err)
{
    char whole[HASH_SHA256_HEX_SIZE];

    if (hash[0] == '\0' || strcmp(hash, own_hash) == 0)
        return 0;
    int r = hash_sha256(buf_text(body), body->len, whole, err);
    if (r < 0 || strcmp(hash, whole) == 0)
        return r;
    return err_set(err, ISOL8_E_POLICY, "Remote code hash mismatch");
}

int remote_code_new(struct remote_code **out, struct buf *body, const char *hash, isol8_error *err)
{
    const char *text = buf_text(body);
    size_t skip = has_bom(body) ? 3 : 0;
    char own[HASH_SHA256_HEX_SIZE];

    if (!text_utf8_valid(text, body->len))
        return err_set(err, ISOL8_E_INVAL, "Fetched code is not valid UTF-8");
    if (memchr(text, '\0', body->len) != NULL)
        return err_set(err, ISOL8_E_INVAL, "Fetched code appears to be binary content");
    int r = hash_sha256(text + skip, body->len - skip, own, err);
    if (r == 0)
        r = check_hash(body, hash, own, err);
    if (r < 0)
        return r;
    struct remote_code *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_nomem(err);
    c->refs = 1;
    memcpy(c->hash, own, sizeof(own));
    buf_consume(body, skip);
    c->size = body->len;
    c->data = body->len > 0 ? buf_take(body) : calloc(1, 1);
    if (c->data == NULL) {
        free(c);
        return err_nomem(err);
    }
    *out = c;
    return 0;
}

/* ---- Certificates -----------------------------------------------------------------------------
 */

/* As for downloads of images: what the curl program would look at. NULL: libcurl's own. */
static const char *machine_bundle(void)
{
    const char *file = getenv("CURL_CA_BUNDLE");

    return file != NULL ? file : getenv("SSL_CERT_FILE");
}

/* The machine's bundle and the operator's file in one, since libcurl takes one. @fd: of a memory
 * file, or -1; @path: what to give to libcurl, or "". */
static int make_bundle(const char *ca_file, int *fd, char path[64], const char **use,
                       isol8_error *err)
{
    const char *machine = machine_bundle();
    auto_buf struct buf all = BUF_INIT(TRUST_BUNDLE_MAX);
    auto_buf struct buf own = BUF_INIT(TRUST_BUNDLE_MAX);

    *use = machine;
    if (ca_file == NULL)
        return 0;
    int r = path_read(AT_FDCWD, ca_file, TRUST_BUNDLE_MAX, &own, err);
    if (r < 0)
        return err_wrap(err, r, "network.caFile");
    if (path_read(AT_FDCWD, machine != NULL ? machine : TRUST_BUNDLE_PATH, TRUST_BUNDLE_MAX, &all,
                  NULL) < 0)
        buf_clear(&all); /* a machine without one trusts the operator's alone */
    all.max = 2 * (size_t)TRUST_BUNDLE_MAX + 1;
    all.failed = false;
    (void)buf_adds(&all, "\n");
    if (!buf_add(&all, own.data, own.len))
        return err_nomem(err);
    *fd = fd_memfd("isol8-ca", all.data, all.len);
    if (*fd < 0)
        return err_sys(err, -*fd, "cannot make a file of certificates");
    (void)snprintf(path, 64, "/proc/self/fd/%d", *fd);
    *use = path;
    return 0;
}

/* ---- The fetch --------------------------------------------------------------------------------
 */

struct hops {
    const struct remote_fetch *f;
    struct proxy_guard *guard;
    const char *ca_path;
    struct proxy_host upstream;
    uint16_t upstream_port;
    bool has_upstream;
};

/* Checks 7 and 8, and the addresses to connect to. The upstream proxy resolves names itself. */
static int find_addresses(const struct hops *h, const struct remote_url *url,
                          struct remote_addresses *out, isol8_error *err)
{
    const struct remote_fetch *f = h->f;
    bool is_known = url->host.is_address || !h->has_upstream;
    int r = 0;

    if (is_known)
        r = remote_resolve(f->settings, &url->host, &f->patience, out, err);
    if (r == 0 && is_known)
        r = remote_policy_check_addresses(h->guard, url, out->all, out->n, err);
    if (r == 0 && h->has_upstream)
        r = remote_resolve(f->settings, &h->upstream, &f->patience, out, err);
    return r;
}

static int get(const struct hops *h, const struct remote_url *url, bool is_first,
               struct remote_response *out, isol8_error *err)
{
    const struct remote_fetch *f = h->f;
    struct remote_addresses addresses;

    int r = remote_policy_conceal(f->policy, url, find_addresses(h, url, &addresses, err), err);
    if (r == 0 && is_first && f->policy->requires_hash && f->hash[0] == '\0')
        r = err_set(err, ISOL8_E_POLICY,
                    "Hash verification required: provide codeHash for remote code execution.");
    if (r < 0)
        return r;
    struct remote_transfer_args args = {
        .url = url,
        .addresses = &addresses,
        .guard = h->has_upstream ? NULL : h->guard,
        .upstream = h->has_upstream ? &h->upstream : NULL,
        .upstream_port = h->upstream_port,
        .ca_file = h->ca_path,
        .max_bytes = f->policy->max_bytes,
        .patience = &f->patience,
        .progress = f->progress,
    };
    return remote_policy_conceal(f->policy, url, remote_transfer(&args, out, err), err);
}

static int take_body(const struct hops *h, struct remote_response *res, struct remote_code **out,
                     isol8_error *err)
{
    const struct remote_fetch *f = h->f;

    if (res->status < 200 || res->status > 299)
        return err_set(err, ISOL8_E_NETWORK, "Failed to fetch remote code: HTTP %ld", res->status);
    if (res->status == 204 || res->status == 205)
        return err_set(err, ISOL8_E_NETWORK, "Remote code response body is empty");
    /* With a byte order mark the hash may be that of the bytes as they came: then so is the entry.
     */
    auto_buf struct buf copy = BUF_INIT(f->policy->max_bytes);
    bool keeps = f->hash[0] != '\0' && f->policy->has_cache && f->policy->cache_ttl_s > 0;
    if (keeps && has_bom(&res->body) && !buf_add(&copy, res->body.data, res->body.len))
        return err_nomem(err);
    int r = remote_code_new(out, &res->body, f->hash, err);
    if (r < 0 || !keeps)
        return r;
    if (strcmp((*out)->hash, f->hash) == 0)
        remote_cache_put(&f->cache, f->hash, (*out)->data, (*out)->size);
    else
        remote_cache_put(&f->cache, f->hash, buf_text(&copy), copy.len);
    return 0;
}

static int follow(const struct hops *h, struct remote_code **out, isol8_error *err)
{
    const struct remote_fetch *f = h->f;
    auto_remote_url struct remote_url here = { .text = NULL };

    for (unsigned n = 0;; n++) {
        auto_remote_response struct remote_response res = { .location = NULL };
        auto_remote_url struct remote_url next = { .text = NULL };
        const struct remote_url *url = n == 0 ? f->url : &here;
        int r = get(h, url, n == 0, &res, err);
        if (r < 0)
            return r;
        if (res.location == NULL)
            return take_body(h, &res, out, err);
        if (n == REMOTE_REDIRECTS_MAX)
            return err_set(err, ISOL8_E_NETWORK,
                           "Failed to fetch remote code: more than %d redirects",
                           REMOTE_REDIRECTS_MAX);
        r = remote_policy_check(f->policy, res.location, f->allow_insecure, url, &next, err);
        if (r < 0)
            return r;
        remote_url_done(&here);
        here = next;
        next.text = NULL;
    }
}

static bool is_cached(const struct remote_fetch *f, struct remote_code **out)
{
    auto_buf struct buf data = BUF_INIT(0);

    return f->hash[0] != '\0' && f->policy->has_cache &&
           remote_cache_get(&f->cache, f->hash, f->policy->cache_ttl_s, f->policy->max_bytes,
                            &data) &&
           remote_code_new(out, &data, f->hash, NULL) == 0;
}

int remote_fetch(const struct remote_fetch *f, struct remote_code **out, isol8_error *err)
{
    struct hops h = { .f = f, .has_upstream = f->settings->upstream_proxy != NULL };
    auto_proxy_guard struct proxy_guard *guard = NULL;
    auto_close int ca_fd = -1;
    char ca_path[64] = "";

    int r = proxy_guard_new(&guard, f->settings->allow_addresses, f->settings->n_allow_addresses,
                            err);
    if (r == 0 && f->url->host.is_address)
        r = remote_policy_check_addresses(guard, f->url, &f->url->host.address, 1, err);
    if (r < 0)
        return remote_policy_conceal(f->policy, f->url, r, err);
    if (is_cached(f, out))
        return 0;
    if (h.has_upstream &&
        !proxy_upstream_parse(f->settings->upstream_proxy, &h.upstream, &h.upstream_port))
        return err_set(err, ISOL8_E_INVAL,
                       "network.upstreamProxy: not of the form http://host:port");
    h.guard = guard;
    r = make_bundle(f->ca_file, &ca_fd, ca_path, &h.ca_path, err);
    return r < 0 ? r : follow(&h, out, err);
}
