/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c - one GET over HTTP(S) by libcurl, to addresses that are settled beforehand. */
#include "executor/remote/transfer.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/remote/policy.h"

enum { WAIT_MS_MAX = 1000 };

/* Why the transfer was broken off by one of its callbacks. */
enum broken {
    BROKEN_NOT,
    BROKEN_HEAD_ENOUGH, /* the status said it all */
    BROKEN_LENGTH,      /* the announced length is too large */
    BROKEN_BODY,        /* the body is too large */
    BROKEN_HEAD,        /* the head is too large */
    BROKEN_MEMORY,
};

struct transfer {
    const struct curl_lib *lib;
    const struct remote_transfer_args *args;
    struct remote_response *out;
    struct remote_dialer dialer;
    void *easy, *multi;
    struct curl_slist *resolve;
    size_t head_bytes, skipped;
    int64_t length; /* announced; -1: not */
    enum broken broken;
    char error[CURL_ERROR_SIZE];
};

void remote_response_done(struct remote_response *r)
{
    free(r->location);
    r->location = NULL;
    buf_done(&r->body);
}

/* ---- The guard, at the moment of connecting ---------------------------------------------------
 */

static uint16_t port_of(const struct sockaddr *sa)
{
    return ntohs(sa->sa_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)sa)->sin_port);
}

static bool may_connect(const struct remote_dialer *d, const struct sockaddr *sa)
{
    struct proxy_address a;

    if (!proxy_address_from_sockaddr(sa, &a) || port_of(sa) != d->port)
        return false;
    if (d->guard != NULL && proxy_guard_refuses(d->guard, &a) != NULL)
        return false;
    for (size_t i = 0; i < d->addresses->n; i++) {
        if (proxy_address_equal(&d->addresses->all[i], &a))
            return true;
    }
    return false;
}

int remote_open_socket(void *user, int purpose, struct curl_sockaddr *address)
{
    struct remote_dialer *d = user;

    (void)purpose; /* to connect: nothing else is asked for a GET */
    if (!may_connect(d, &address->addr)) {
        d->was_refused = true;
        return -1;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- Callbacks --------------------------------------------------------------------------------
 */

static long status_of(const struct transfer *t)
{
    long status = 0;

    (void)t->lib->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static bool is_success(long status)
{
    return status >= 200 && status <= 299;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The whole head of a response is there. False: that is all that is wanted of it. */
static bool look_at_head(struct transfer *t)
{
    long status = status_of(t);

    if (status < 200 || is_redirect(status))
        return true; /* an interim response, or one whose body is skipped */
    if (!is_success(status)) {
        t->broken = BROKEN_HEAD_ENOUGH;
        return false;
    }
    (void)t->lib->easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &t->length);
    if (t->length > 0 && (uint64_t)t->length > t->args->max_bytes) {
        t->broken = BROKEN_LENGTH;
        return false;
    }
    if (t->length > 0)
        __atomic_store_n(&t->args->progress->total, (uint64_t)t->length, __ATOMIC_RELAXED);
    return true;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t n = size * count; /* size is always 1 */
    bool is_end = n <= 2 && (data[0] == '\r' || data[0] == '\n');

    t->head_bytes += n;
    if (t->head_bytes > REMOTE_HEAD_MAX) {
        t->broken = BROKEN_HEAD;
        return 0;
    }
    return is_end && !look_at_head(t) ? 0 : n;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t n = size * count;

    if (!is_success(status_of(t))) {
        t->skipped += n;
        if (t->skipped <= REMOTE_SKIP_MAX)
            return n;
        t->broken = BROKEN_HEAD_ENOUGH;
        return 0;
    }
    if (n > t->args->max_bytes - t->out->body.len) {
        t->broken = BROKEN_BODY;
        return 0;
    }
    if (buf_add(&t->out->body, data, n))
        return n;
    t->broken = BROKEN_MEMORY;
    return 0;
}

/* Bytes as they come, before they are decoded. */
static int on_progress(void *user, int64_t total, int64_t done, int64_t up_total, int64_t up_done)
{
    struct transfer *t = user;

    (void)total;
    (void)up_total;
    (void)up_done;
    __atomic_store_n(&t->args->progress->done, (uint64_t)done, __ATOMIC_RELAXED);
    if (done <= 0 || (uint64_t)done <= t->args->max_bytes)
        return 0;
    t->broken = BROKEN_BODY;
    return 1;
}

/* ---- Setting up -------------------------------------------------------------------------------
 */

/* "host:port:address,address": the only addresses that libcurl knows for this host. */
static int pin_addresses(struct transfer *t, isol8_error *err)
{
    const struct remote_transfer_args *a = t->args;
    const struct proxy_host *host = a->upstream != NULL ? a->upstream : &a->url->host;
    auto_buf struct buf line = BUF_INIT(4096);

    if (host->is_address)
        return 0;
    (void)buf_addf(&line, "%s:%u:", host->text, t->dialer.port);
    for (size_t i = 0; i < a->addresses->n; i++) {
        char text[INET6_ADDRSTRLEN];
        bool is_v6 = a->addresses->all[i].family == AF_INET6;
        proxy_address_text(&a->addresses->all[i], text, sizeof(text));
        (void)buf_addf(&line, "%s%s%s%s", i > 0 ? "," : "", is_v6 ? "[" : "", text,
                       is_v6 ? "]" : "");
    }
    t->resolve = line.failed ? NULL : t->lib->slist_append(NULL, buf_text(&line));
    if (t->resolve == NULL)
        return err_nomem(err);
    (void)t->lib->easy_setopt(t->easy, CURLOPT_RESOLVE, t->resolve);
    return 0;
}

static int set_proxy(struct transfer *t, isol8_error *err)
{
    const struct remote_transfer_args *a = t->args;
    char url[PROXY_NAME_MAX + 32];
    bool is_v6;

    /* An empty name means none, whatever the environment says; so does an empty list of
     * exceptions. */
    (void)t->lib->easy_setopt(t->easy, CURLOPT_NOPROXY, "");
    if (a->upstream == NULL)
        return t->lib->easy_setopt(t->easy, CURLOPT_PROXY, "") == CURLE_OK ? 0 : err_nomem(err);
    is_v6 = a->upstream->is_address && a->upstream->address.family == AF_INET6;
    (void)snprintf(url, sizeof(url), "http://%s%s%s:%u", is_v6 ? "[" : "", a->upstream->text,
                   is_v6 ? "]" : "", a->upstream_port);
    (void)t->lib->easy_setopt(t->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    (void)t->lib->easy_setopt(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return t->lib->easy_setopt(t->easy, CURLOPT_PROXY, url) == CURLE_OK ? 0 : err_nomem(err);
}

static int set_options(struct transfer *t, isol8_error *err)
{
    const struct curl_lib *lib = t->lib;
    const struct remote_transfer_args *a = t->args;
    bool is_https = remote_url_is_https(a->url);
    long protocol = is_https ? CURLPROTO_HTTPS : CURLPROTO_HTTP;
    int64_t left = remote_patience_left(a->patience);

    /* These cannot fail for a handle that exists: the options are as old as the soname. Those that
     * keep us safe are looked at all the same. */
    if (lib->easy_setopt(t->easy, CURLOPT_URL, a->url->text) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_PROTOCOLS, protocol) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_NETRC, 0L) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, remote_open_socket) != CURLE_OK ||
        lib->easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, &t->dialer) != CURLE_OK)
        return err_set(err, ISOL8_E_UNSUPPORTED, "this libcurl cannot fetch safely");
    (void)lib->easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)lib->easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can decode */
    (void)lib->easy_setopt(t->easy, CURLOPT_USERAGENT, "isol8/" ISOL8_VERSION);
    (void)lib->easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    (void)lib->easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)lib->easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    (void)lib->easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)lib->easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    (void)lib->easy_setopt(t->easy, CURLOPT_NOPROGRESS, 0L);
    (void)lib->easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)lib->easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
    /* For libcurl to share among the addresses; the loop below has the say. */
    (void)lib->easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)(left < 1 ? 1 : left));
    if (a->ca_file != NULL && lib->easy_setopt(t->easy, CURLOPT_CAINFO, a->ca_file) != CURLE_OK)
        return err_nomem(err);
    int r = set_proxy(t, err);
    return r < 0 ? r : pin_addresses(t, err);
}

/* ---- The transfer -----------------------------------------------------------------------------
 */

static int failed(const struct transfer *t, int result, isol8_error *err)
{
    const struct remote_transfer_args *a = t->args;

    switch (t->broken) {
    case BROKEN_LENGTH:
        return err_set(err, ISOL8_E_LIMIT,
                       "Remote code exceeds maxCodeSize (%" PRIu64 " bytes): %" PRId64 " bytes",
                       a->max_bytes, t->length);
    case BROKEN_BODY:
        return err_set(err, ISOL8_E_LIMIT, "Remote code exceeds maxCodeSize (%" PRIu64 " bytes)",
                       a->max_bytes);
    case BROKEN_HEAD:
        return err_set(err, ISOL8_E_LIMIT,
                       "Failed to fetch remote code: the response's head is larger than %d bytes",
                       REMOTE_HEAD_MAX);
    case BROKEN_MEMORY:
        return err_nomem(err);
    default:
        break;
    }
    if (t->dialer.was_refused)
        return remote_policy_blocked(a->url, err);
    if (result == CURLE_OPERATION_TIMEDOUT)
        return remote_patience_over(a->patience, err);
    return err_set(err, ISOL8_E_NETWORK, "Failed to fetch remote code: %s",
                   t->error[0] != '\0' ? t->error : t->lib->easy_strerror(result));
}

static int finish(struct transfer *t, int result, isol8_error *err)
{
    const char *location = NULL;

    t->out->status = status_of(t);
    if (result != CURLE_OK && t->broken != BROKEN_HEAD_ENOUGH)
        return failed(t, result, err);
    if (!is_redirect(t->out->status))
        return 0;
    (void)t->lib->easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location);
    t->out->location = mem_strdup(location);
    return location != NULL && t->out->location == NULL ? err_nomem(err) : 0;
}

static bool has_ended(const struct transfer *t, int *result)
{
    const struct curl_message *m;
    int left;

    while ((m = t->lib->multi_info_read(t->multi, &left)) != NULL) {
        if (m->msg == CURLMSG_DONE) {
            *result = m->data.result;
            return true;
        }
    }
    return false;
}

static int drive(struct transfer *t, isol8_error *err)
{
    const struct remote_patience *patience = t->args->patience;
    struct curl_waitfd cancel = { .fd = patience->cancel_fd, .events = CURL_WAIT_POLLIN };
    int running, result;

    for (;;) {
        int64_t left = remote_patience_left(patience);
        if (left == 0)
            return remote_patience_over(patience, err);
        if (t->lib->multi_perform(t->multi, &running) != 0)
            return err_set(err, ISOL8_E_NETWORK, "Failed to fetch remote code: libcurl failed");
        if (has_ended(t, &result))
            return finish(t, result, err);
        cancel.revents = 0;
        if (t->lib->multi_poll(t->multi, &cancel, 1, left < WAIT_MS_MAX ? (int)left : WAIT_MS_MAX,
                               NULL) != 0)
            return err_set(err, ISOL8_E_NETWORK, "Failed to fetch remote code: libcurl failed");
        if (cancel.revents != 0)
            return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    }
}

static int begin(struct transfer *t, isol8_error *err)
{
    t->multi = t->lib->multi_init();
    t->easy = t->lib->easy_init();
    if (t->multi == NULL || t->easy == NULL)
        return err_nomem(err);
    int r = set_options(t, err);
    if (r == 0 && t->lib->multi_add_handle(t->multi, t->easy) != 0)
        r = err_nomem(err);
    return r;
}

int remote_transfer(const struct remote_transfer_args *args, struct remote_response *out,
                    isol8_error *err)
{
    struct transfer t = {
        .args = args,
        .out = out,
        .length = -1,
        .dialer = { .addresses = args->addresses,
                    .guard = args->guard,
                    .port = args->upstream != NULL ? args->upstream_port : args->url->port },
    };

    *out = (struct remote_response){ .body = BUF_INIT(args->max_bytes) };
    int r = curl_lib_get(&t.lib, err);
    if (r < 0)
        return r;
    r = begin(&t, err);
    if (r == 0)
        r = drive(&t, err);
    if (t.easy != NULL && t.multi != NULL)
        (void)t.lib->multi_remove_handle(t.multi, t.easy); /* not added yet: harmless */
    if (t.easy != NULL)
        t.lib->easy_cleanup(t.easy);
    if (t.multi != NULL)
        (void)t.lib->multi_cleanup(t.multi);
    if (t.resolve != NULL)
        t.lib->slist_free_all(t.resolve);
    return r;
}
