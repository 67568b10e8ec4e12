/* SPDX-License-Identifier: Apache-2.0 */
/**
 * http.c - parallel downloads over HTTP(S) by libcurl
 *
 * One multi handle, at most HTTP_PARALLEL_MAX transfers in it, one loop that waits for their
 * sockets and for the cancel descriptor. Each transfer writes to its file and hashes what it
 * writes. A transfer that fails in a way that may pass is started again from the beginning.
 */
#include "oci/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/curl.h"
#include "base/fd.h"
#include "base/mem.h"

enum { POLL_MS = 250, PROGRESS_MS = 100, CONNECT_S = 20 };

struct transfer {
    struct http_job *job; /* NULL: the slot is free */
    struct fetch *fetch;
    struct hash *hash;
    void *easy;
    int write_errno; /* the file could not be written */
    bool too_large;
    uint64_t length; /* announced, 0: unknown */
    char error[CURL_ERROR_SIZE];
};

struct fetch {
    const struct curl_lib *lib;
    const struct http_args *args;
    struct http_job *jobs;
    size_t n;
    size_t next; /* first job not started */
    size_t active;
    uint8_t *tries; /* per job */
    struct curl_slist *headers;
    void *multi;
    uint64_t done_bytes; /* of finished jobs */
    uint64_t reported_ns;
    struct transfer slots[HTTP_PARALLEL_MAX];
};

void http_redact(const char *url, char *out, size_t cap)
{
    const char *start = strstr(url, "://");
    const char *host = start != NULL ? start + 3 : url;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);

    (void)snprintf(out, cap, "%.*s%s", (int)(host - url), url, at != NULL ? at + 1 : host);
}

/* ---- One transfer ---------------------------------------------------------------------------- */

static size_t write_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t n = size * count; /* size is always 1 */
    long status = 0;
    int64_t length = 0;

    (void)t->fetch->lib->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return n; /* an error's text, not a body */
    if (t->length == 0 &&
        t->fetch->lib->easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == 0 &&
        length > 0)
        t->length = (uint64_t)length;
    if (n > t->job->max_bytes - t->job->bytes || t->length > t->job->max_bytes) {
        t->too_large = true;
        return 0;
    }
    int r = fd_write_all(t->job->out_fd, data, n);
    if (r < 0) {
        t->write_errno = -r;
        return 0;
    }
    t->job->bytes += n;
    return hash_update(t->hash, data, n, NULL) < 0 ? 0 : n;
}

static const char *ca_file(const struct http_args *args)
{
    if (args->ca_file != NULL)
        return args->ca_file;
    const char *file = getenv("CURL_CA_BUNDLE"); /* as the curl program does; libcurl does not */
    return file != NULL ? file : getenv("SSL_CERT_FILE");
}

static void set_options(struct fetch *f, struct transfer *t)
{
    const struct curl_lib *lib = f->lib;
    bool is_https = strncasecmp(t->job->url, "https:", 6) == 0;
    long protocols = CURLPROTO_HTTPS | (is_https ? 0 : CURLPROTO_HTTP);
    const char *ca = ca_file(f->args);

    /* These cannot fail for a handle that exists: the options are as old as the soname, and the
     * transfer reports a string that could not be copied. */
    (void)lib->easy_setopt(t->easy, CURLOPT_URL, t->job->url);
    (void)lib->easy_setopt(t->easy, CURLOPT_PROTOCOLS, protocols);
    (void)lib->easy_setopt(t->easy, CURLOPT_REDIR_PROTOCOLS, protocols);
    (void)lib->easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)lib->easy_setopt(t->easy, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
    (void)lib->easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    (void)lib->easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)lib->easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_S);
    (void)lib->easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)lib->easy_setopt(t->easy, CURLOPT_USERAGENT, "isol8/" ISOL8_VERSION);
    (void)lib->easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    (void)lib->easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, write_body);
    (void)lib->easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    (void)lib->easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    if (f->headers != NULL)
        (void)lib->easy_setopt(t->easy, CURLOPT_HTTPHEADER, f->headers);
    if (ca != NULL)
        (void)lib->easy_setopt(t->easy, CURLOPT_CAINFO, ca);
}

static void stop_transfer(struct fetch *f, struct transfer *t)
{
    if (t->easy != NULL) {
        (void)f->lib->multi_remove_handle(f->multi, t->easy); /* not added yet: harmless */
        f->lib->easy_cleanup(t->easy);
    }
    hash_free(t->hash);
    memset(t, 0, sizeof(*t));
}

static int start_transfer(struct fetch *f, struct transfer *t, struct http_job *job,
                          isol8_error *err)
{
    char shown[256];

    http_redact(job->url, shown, sizeof(shown));
    if ((strncasecmp(job->url, "https://", 8) != 0 && strncasecmp(job->url, "http://", 7) != 0) ||
        strlen(job->url) > HTTP_URL_MAX)
        return err_set(err, ISOL8_E_INVAL, "not an http or https address: '%s'", shown);
    if (ftruncate(job->out_fd, 0) < 0 || lseek(job->out_fd, 0, SEEK_SET) < 0)
        return err_sys(err, errno, "cannot download '%s'", shown);
    job->bytes = 0;
    job->status = 0;
    t->job = job;
    t->fetch = f;
    f->tries[job - f->jobs]++;
    int r = hash_new(&t->hash, HASH_SHA512, err);
    if (r < 0)
        return r;
    t->easy = f->lib->easy_init();
    if (t->easy == NULL)
        return err_nomem(err);
    set_options(f, t);
    if (f->lib->multi_add_handle(f->multi, t->easy) != 0)
        return err_nomem(err);
    f->active++;
    return 0;
}

static bool may_pass(int result, long status)
{
    switch (result) {
    case CURLE_OK:
        return status == 429 || status >= 500;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_HTTP2:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static int transfer_failed(const struct fetch *f, const struct transfer *t, int result,
                           isol8_error *err)
{
    char shown[256];

    http_redact(t->job->url, shown, sizeof(shown));
    if (t->write_errno != 0)
        return err_sys(err, t->write_errno, "cannot write the download of '%s'", shown);
    if (t->too_large)
        return err_set(err, ISOL8_E_LIMIT, "'%s' is larger than %llu bytes", shown,
                       (unsigned long long)t->job->max_bytes);
    return err_set(err, ISOL8_E_NETWORK, "cannot download '%s': %s", shown,
                   t->error[0] != '\0' ? t->error : f->lib->easy_strerror(result));
}

/* The transfer is over: finished, to be tried again, or failed for good. */
static int end_transfer(struct fetch *f, struct transfer *t, int result, isol8_error *err)
{
    struct http_job *job = t->job;
    size_t n;
    int r = 0;

    (void)f->lib->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &job->status);
    bool local = t->write_errno != 0 || t->too_large;
    bool again = !local && f->tries[job - f->jobs] < HTTP_TRIES_MAX &&
                 may_pass(result, job->status);
    if (!again) {
        if (result != CURLE_OK)
            r = transfer_failed(f, t, result, err);
        else
            r = hash_final(t->hash, job->sha512, &n, err);
        f->done_bytes += job->bytes;
    }
    f->active--;
    stop_transfer(f, t);
    return r == 0 && again ? start_transfer(f, t, job, err) : r;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void report(struct fetch *f)
{
    uint64_t done = f->done_bytes, total = f->done_bytes;
    bool known = f->next == f->n;
    uint64_t now = clock_now_ns();

    if (f->args->progress == NULL || now - f->reported_ns < PROGRESS_MS * 1000000ULL)
        return;
    f->reported_ns = now;
    for (size_t i = 0; i < HTTP_PARALLEL_MAX; i++) {
        const struct transfer *t = &f->slots[i];
        if (t->job == NULL)
            continue;
        done += t->job->bytes;
        total += t->length;
        known = known && t->length > 0;
    }
    f->args->progress(done, known ? total : 0, f->args->user);
}

static int fill_slots(struct fetch *f, isol8_error *err)
{
    for (size_t i = 0; i < HTTP_PARALLEL_MAX && f->next < f->n; i++) {
        if (f->slots[i].job != NULL)
            continue;
        int r = start_transfer(f, &f->slots[i], &f->jobs[f->next++], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_results(struct fetch *f, isol8_error *err)
{
    struct curl_message *m;
    int left;

    while ((m = f->lib->multi_info_read(f->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        int result = m->data.result; /* the message goes with the handle */
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)f->lib->easy_getinfo(m->easy, CURLINFO_PRIVATE, &t);
        int r = end_transfer(f, t, result, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int fetch_loop(struct fetch *f, isol8_error *err)
{
    struct curl_waitfd cancel = { .fd = f->args->cancel_fd, .events = CURL_WAIT_POLLIN };
    unsigned n_extra = f->args->cancel_fd >= 0 ? 1 : 0;
    int running;

    for (;;) {
        int r = fill_slots(f, err);
        if (r < 0)
            return r;
        if (f->active == 0)
            return 0;
        if (f->lib->multi_perform(f->multi, &running) != 0)
            return err_set(err, ISOL8_E_NETWORK, "libcurl failed");
        r = take_results(f, err);
        if (r < 0)
            return r;
        report(f);
        cancel.revents = 0;
        if (f->active > 0 && f->lib->multi_poll(f->multi, &cancel, n_extra, POLL_MS, NULL) != 0)
            return err_set(err, ISOL8_E_NETWORK, "libcurl failed");
        if (cancel.revents != 0)
            return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    }
}

static int fetch_init(struct fetch *f, isol8_error *err)
{
    f->tries = calloc(f->n, sizeof(*f->tries));
    f->multi = f->lib->multi_init();
    if (f->tries == NULL || f->multi == NULL)
        return err_nomem(err);
    if (f->args->auth == NULL)
        return 0;
    f->headers = f->lib->slist_append(NULL, f->args->auth);
    return f->headers != NULL ? 0 : err_nomem(err);
}

int http_fetch(struct http_job *jobs, size_t n, const struct http_args *args, isol8_error *err)
{
    struct fetch *f;

    if (n == 0)
        return 0;
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return err_nomem(err);
    f->args = args;
    f->jobs = jobs;
    f->n = n;
    int r = curl_lib_get(&f->lib, err);
    if (r == 0)
        r = fetch_init(f, err);
    if (r == 0)
        r = fetch_loop(f, err);
    for (size_t i = 0; i < HTTP_PARALLEL_MAX; i++)
        stop_transfer(f, &f->slots[i]);
    if (f->multi != NULL)
        (void)f->lib->multi_cleanup(f->multi);
    if (f->headers != NULL)
        f->lib->slist_free_all(f->headers);
    free(f->tries);
    free(f);
    return r;
}
