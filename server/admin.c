/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the routes about the server itself: health, metrics, sessions, clean-up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/order.h"
#include "server/srv.h"

/* server/openapi.json, embedded */
extern const unsigned char srv_openapi[];
extern const unsigned char srv_openapi_end[];

void srv_get_health(struct srv_call *c)
{
    auto_json cJSON *j = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(j, "status", "ok");
    (void)cJSON_AddStringToObject(j, "version", isol8_version());
    srv_reply_json(c, 200, j);
}

void srv_get_ready(struct srv_call *c)
{
    struct srv_fault f;

    if (atomic_load(&c->srv->is_ready) && !atomic_load(&c->srv->is_draining)) {
        srv_reply_text(c, 200, "application/json", "{\"status\":\"ready\"}");
        return;
    }
    (void)srv_fault_set(&f, 503, NULL,
                        atomic_load(&c->srv->is_draining) ? "The server is shutting down"
                                                          : "The server is still preparing");
    srv_reply_fault(c, &f);
}

void srv_get_metrics(struct srv_call *c)
{
    struct srv *s = c->srv;
    struct metrics_gauges g = { .proxy.size = sizeof(g.proxy),
                                .connections = atomic_load(&s->connections),
                                .sessions = srv_sessions_count(s->sessions),
                                .is_ready = atomic_load(&s->is_ready) &&
                                            !atomic_load(&s->is_draining) };

    srv_gate_counts(&s->gate, &g.executing, &g.queued);
    isol8_pool_look(s->host, &g.pool);
    isol8_proxy_look(s->host, &g.proxy);
    srv_reply_text(c, 200, "text/plain; version=0.0.4; charset=utf-8", "");
    srv_metrics_text(&s->metrics, &g, &c->reply.body);
    srv_metrics_auth(&s->auth, &c->reply.body);
}

void srv_get_openapi(struct srv_call *c)
{
    srv_reply_text(c, 200, "application/json", "");
    (void)buf_add(&c->reply.body, srv_openapi, (size_t)(srv_openapi_end - srv_openapi));
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void add_session(const char *id, bool is_active, int64_t last_wall_ms, void *user)
{
    cJSON *list = user, *item = cJSON_CreateObject();
    char when[CLOCK_ISO_SIZE];

    clock_iso(last_wall_ms, when);
    (void)cJSON_AddStringToObject(item, "id", id);
    (void)cJSON_AddBoolToObject(item, "isActive", is_active);
    (void)cJSON_AddStringToObject(item, "lastAccessedAt", when);
    (void)cJSON_AddItemToArray(list, item);
}

void srv_get_sessions(struct srv_call *c)
{
    auto_json cJSON *j = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(j, "sessions");

    srv_sessions_list(c->srv->sessions, &c->who, add_session, list);
    srv_reply_json(c, 200, j);
}

void srv_delete_session(struct srv_call *c)
{
    isol8_error err;

    if (srv_sessions_end(c->srv->sessions, &c->who, c->tail, &err) < 0)
        srv_reply_error(c, &err);
    else
        srv_reply_text(c, 200, "application/json", "{\"ok\":true}");
}

/* ---- Clean-up -------------------------------------------------------------------------------- */

struct cleanup {
    cJSON *session_errors, *container_errors, *image_errors;
};

static void add_error(cJSON *list, const char *id, const char *why)
{
    char text[640];

    (void)snprintf(text, sizeof(text), "%.128s: %.500s", id, why);
    (void)cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

static void session_failed(const char *id, const char *why, void *user)
{
    add_error(((struct cleanup *)user)->session_errors, id, why);
}

static void owned_failed(const isol8_owned *o, const char *why, void *user)
{
    struct cleanup *u = user;

    add_error(o->is_image ? u->image_errors : u->container_errors, o->id, why);
}

static cJSON *add_part(cJSON *j, const char *name)
{
    cJSON *part = cJSON_AddObjectToObject(j, name);

    (void)cJSON_AddNumberToObject(part, "removed", 0);
    (void)cJSON_AddNumberToObject(part, "failed", 0);
    return cJSON_AddArrayToObject(part, "errors");
}

static void set_counts(cJSON *j, const char *name, size_t removed, size_t failed)
{
    cJSON *part = cJSON_GetObjectItemCaseSensitive(j, name);

    (void)cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(part, "removed"), (double)removed);
    (void)cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(part, "failed"), (double)failed);
}

/* Sandboxes of live owners, the server's own pool among them, are left alone. */
static int clean_up(struct srv *s, bool images, cJSON *j, isol8_error *err)
{
    struct cleanup u = { .session_errors = add_part(j, "sessions"),
                         .container_errors = add_part(j, "containers") };
    struct srv_sessions_report sessions;
    isol8_cleanup_report report = { 0 };
    isol8_cleanup_options opts;

    u.image_errors = images ? add_part(j, "images") : NULL;
    isol8_cleanup_options_init(&opts);
    opts.images = images;
    opts.failed = owned_failed;
    opts.user = &u;
    (void)pthread_mutex_lock(&s->cleanup_mutex);
    srv_sessions_end_all(s->sessions, &sessions, session_failed, &u);
    int r = isol8_cleanup(s->host, &opts, &report, err);
    (void)pthread_mutex_unlock(&s->cleanup_mutex);
    set_counts(j, "sessions", sessions.removed, sessions.failed);
    set_counts(j, "containers", report.sandboxes, report.sandboxes_failed);
    if (images)
        set_counts(j, "images", report.images, report.images_failed);
    return r;
}

void srv_post_cleanup(struct srv_call *c)
{
    auto_json cJSON *j = cJSON_CreateObject();
    auto_json cJSON *body = NULL;
    struct srv_fault f;
    isol8_error err;

    /* A missing or malformed body counts as {}. */
    (void)srv_json_object(&body, buf_text(&c->body), c->body.len, &f);
    bool images = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(body, "images"));
    (void)cJSON_AddBoolToObject(j, "ok", true);
    if (clean_up(c->srv, images, j, &err) < 0)
        srv_reply_error(c, &err);
    else
        srv_reply_json(c, 200, j);
}
