/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - one HTTP request to a server by libcurl. */
#include "client/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/curl.h"
#include "base/mem.h"
#include "client/event.h"

#define HEAD_MAX 65536u  /* bytes of an answer's head */
#define ERROR_MAX 65536u /* bytes of a failure's answer that are looked at */
#define REASON_SIZE 64
#define EXTRA_MAX 8 /* descriptors of the caller's */

enum { CONNECT_S = 10, TURN_MS = 1000 };

/* Why we broke it off. */
enum broken { BROKEN_NOT, BROKEN_HEAD, BROKEN_SIZE, BROKEN_SINK, BROKEN_MEMORY };

struct call {
    const struct curl_lib *lib;
    void *easy, *multi;
    struct curl_slist *headers;
    struct call_args args;
    struct buf answer;
    size_t head_bytes;
    char reason[REASON_SIZE];
    bool is_over;
    enum broken broken;
    const char *shown; /* the server's address, borrowed */
    char error[CURL_ERROR_SIZE];
};

/* ---- Callbacks ------------------------------------------------------------------------------- */

/* The reason phrase of a status line; libcurl does not keep it. */
static void note_reason(struct call *call, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    size_t at = space == NULL ? n : (size_t)(space - line) + 5; /* " 404 " */

    call->reason[0] = '\0';
    while (n > at && (line[n - 1] == '\r' || line[n - 1] == '\n'))
        n--;
    if (n > at)
        (void)snprintf(call->reason, sizeof(call->reason), "%.*s", (int)(n - at), line + at);
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct call *call = user;
    size_t n = size * count; /* size is always 1 */

    call->head_bytes += n;
    if (call->head_bytes > HEAD_MAX) {
        call->broken = BROKEN_HEAD;
        return 0;
    }
    if (n > 5 && memcmp(data, "HTTP/", 5) == 0)
        note_reason(call, data, n);
    return n;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct call *call = user;
    size_t n = size * count;

    if (!call_is_good(call)) { /* its error text is short; what is longer is none */
        if (call->answer.len + n <= ERROR_MAX)
            (void)buf_add(&call->answer, data, n);
        else
            call->broken = BROKEN_SIZE;
        return call->broken == BROKEN_NOT ? n : 0;
    }
    if (call->args.sink != NULL) {
        if (call->args.sink(call->args.user, data, n))
            return n;
        call->broken = BROKEN_SINK;
        return 0;
    }
    if (buf_add(&call->answer, data, n))
        return n;
    call->broken = call->answer.no_memory ? BROKEN_MEMORY : BROKEN_SIZE;
    return 0;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

static const char *ca_file(void)
{
    const char *file = getenv("CURL_CA_BUNDLE"); /* as the curl program does; libcurl does not */

    return file != NULL && file[0] != '\0' ? file : getenv("SSL_CERT_FILE");
}

void call_set_common(const struct curl_lib *lib, void *easy, char *error)
{
    const char *ca = ca_file();

    /* These cannot fail for a handle that exists: the options are as old as the soname. */
    (void)lib->easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    (void)lib->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)lib->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)lib->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    (void)lib->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* a quiet program is no dead server */
    (void)lib->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)lib->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)lib->easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    if (ca != NULL && ca[0] != '\0')
        (void)lib->easy_setopt(easy, CURLOPT_CAINFO, ca);
}

static bool add_header(struct call *call, const char *text)
{
    struct curl_slist *list = call->lib->slist_append(call->headers, text);

    if (list != NULL)
        call->headers = list;
    return list != NULL;
}

static int set_headers(struct call *call, const struct client *c, isol8_error *err)
{
    auto_free char *authorization = NULL;

    if (asprintf(&authorization, "Authorization: Bearer %s", c->key) < 0) {
        authorization = NULL;
        return err_nomem(err);
    }
    /* No "Expect": a server that does not know it would cost a second. */
    if (!add_header(call, "Content-Type: application/json") || !add_header(call, authorization) ||
        !add_header(call, "Expect:"))
        return err_nomem(err);
    (void)call->lib->easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return 0;
}

static int set_options(struct call *call, const struct client *c, isol8_error *err)
{
    const struct curl_lib *lib = call->lib;
    const struct call_args *a = &call->args;
    auto_free char *url = NULL;

    if (asprintf(&url, "%s%s", c->address.url, a->path) < 0) {
        url = NULL;
        return err_nomem(err);
    }
    call_set_common(lib, call->easy, call->error);
    (void)lib->easy_setopt(call->easy, CURLOPT_USERAGENT, "isol8/" ISOL8_VERSION);
    (void)lib->easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)a->timeout_ms);
    (void)lib->easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)lib->easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
    (void)lib->easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)lib->easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    if (lib->easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK)
        return err_nomem(err);
    if (a->body != NULL) {
        (void)lib->easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (int64_t)a->body_size);
        (void)lib->easy_setopt(call->easy, CURLOPT_POSTFIELDS, a->body);
    }
    (void)lib->easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, a->method);
    return set_headers(call, c, err);
}

int call_start(struct call **out, const struct client *c, const struct call_args *args,
               isol8_error *err)
{
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return err_nomem(err);
    call->args = *args;
    call->shown = c->address.url;
    buf_init(&call->answer, args->answer_max > ERROR_MAX ? args->answer_max : ERROR_MAX);
    int r = curl_lib_get(&call->lib, err);
    if (r == 0) {
        call->easy = call->lib->easy_init();
        call->multi = call->lib->multi_init();
        r = call->easy != NULL && call->multi != NULL ? set_options(call, c, err) : err_nomem(err);
    }
    if (r == 0 && call->lib->multi_add_handle(call->multi, call->easy) != 0)
        r = err_nomem(err);
    if (r < 0)
        call_free(call);
    else
        *out = call;
    return r;
}

void call_free(struct call *call)
{
    if (call == NULL)
        return;
    if (call->multi != NULL && call->easy != NULL)
        (void)call->lib->multi_remove_handle(call->multi, call->easy);
    if (call->easy != NULL)
        call->lib->easy_cleanup(call->easy);
    if (call->multi != NULL)
        (void)call->lib->multi_cleanup(call->multi);
    if (call->headers != NULL)
        call->lib->slist_free_all(call->headers);
    buf_done(&call->answer);
    free(call);
}

/* ---- Driving --------------------------------------------------------------------------------- */

static int failed(struct call *call, int result, isol8_error *err)
{
    switch (call->broken) {
    case BROKEN_HEAD:
        return err_set(err, ISOL8_E_PROTOCOL, "the head of the server's answer is too large");
    case BROKEN_SIZE:
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer is larger than %zu bytes",
                       call->answer.max);
    case BROKEN_MEMORY:
        return err_nomem(err);
    case BROKEN_SINK:
        return err_set(err, ISOL8_E_PROTOCOL, "an event of the server's is larger than %u bytes",
                       CLIENT_EVENT_MAX);
    case BROKEN_NOT:
        break;
    }
    const char *why = call->error[0] != '\0' ? call->error : call->lib->easy_strerror(result);
    if (call_status(call) != 0)
        return err_set(err, ISOL8_E_NETWORK, "The connection to the server was lost: %s", why);
    return err_set(err, ISOL8_E_NETWORK, "Cannot reach %s: %s", call->shown, why);
}

int call_step(struct call *call, isol8_error *err)
{
    struct curl_message *m;
    int running, left;

    if (call->is_over)
        return 1;
    if (call->lib->multi_perform(call->multi, &running) != 0)
        return err_set(err, ISOL8_E_NETWORK, "libcurl failed");
    while ((m = call->lib->multi_info_read(call->multi, &left)) != NULL) {
        if (m->msg != CURLMSG_DONE)
            continue;
        call->is_over = true;
        /* A failure's text may be cut off: its status is known. */
        bool is_refusal = call_status(call) != 0 && !call_is_good(call) &&
                          call->broken != BROKEN_HEAD;
        if (m->data.result != CURLE_OK && !is_refusal)
            return failed(call, m->data.result, err);
    }
    return call->is_over ? 1 : 0;
}

void call_wait(struct call *call, struct pollfd *fds, size_t n, int timeout_ms)
{
    struct curl_waitfd extra[EXTRA_MAX];
    unsigned n_extra = 0;

    for (size_t i = 0; i < n && n_extra < EXTRA_MAX; i++) {
        if (fds[i].fd >= 0) /* poll()'s bits are libcurl's */
            extra[n_extra++] = (struct curl_waitfd){ .fd = fds[i].fd, .events = fds[i].events };
    }
    if (timeout_ms < 0 || timeout_ms > TURN_MS)
        timeout_ms = TURN_MS;
    (void)call->lib->multi_poll(call->multi, extra, n_extra, timeout_ms, NULL);
}

/* ---- The answer ------------------------------------------------------------------------------ */

long call_status(const struct call *call)
{
    long status = 0;

    (void)call->lib->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

bool call_is_good(const struct call *call)
{
    long status = call_status(call);

    return status >= 200 && status <= 299;
}

const struct buf *call_answer(const struct call *call)
{
    return &call->answer;
}

void call_error(const struct call *call, struct buf *out)
{
    if (client_json_error(buf_text(&call->answer), call->answer.len, out))
        return;
    if (call->reason[0] != '\0')
        (void)buf_adds(out, call->reason);
    else
        (void)buf_addf(out, "HTTP %ld", call_status(call));
}
