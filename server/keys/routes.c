/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the routes about keys, for the master key only. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/keys/keys.h"
#include "server/order.h"
#include "server/srv.h"

/* What a body asks for. */
struct wish {
    cJSON *body; /* what the words borrow from */
    const char *name;
    const char *tenant;
    double ttl_ms;
};

static void wish_done(struct wish *w)
{
    cJSON_Delete(w->body);
}
#define auto_wish __attribute__((cleanup(wish_done)))

/* The store, or NULL with the answer given. */
static struct srv_keys *keys_of(struct srv_call *c)
{
    struct srv_fault f;

    if (c->srv->keys == NULL) {
        (void)srv_fault_set(&f, 400, NULL, "DB-backed auth is not enabled");
        srv_reply_fault(c, &f);
    }
    return c->srv->keys;
}

static void reply_unreachable(struct srv_call *c)
{
    struct srv_fault f;

    (void)srv_auth_unreachable(&f);
    srv_reply_fault(c, &f);
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

/* A member that is absent, null, or a word. */
static int take_word(const cJSON *body, const char *field, const char **out, struct srv_fault *f)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(body, field);

    if (j == NULL || cJSON_IsNull(j))
        return 0;
    if (!cJSON_IsString(j))
        return srv_fault_set(f, 400, field, "%s: expected a string", field);
    if (!keys_word_is_valid(j->valuestring, strlen(j->valuestring)))
        return srv_fault_set(f, 400, field,
                             "%s: must be 1 to %d bytes of UTF-8 without control characters", field,
                             KEYS_NAME_MAX);
    *out = j->valuestring;
    return 0;
}

static int take_ttl(const cJSON *body, double *out, struct srv_fault *f)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(body, "ttlMs");

    if (j == NULL || cJSON_IsNull(j))
        return 0;
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 1 && j->valuedouble <= KEYS_TTL_MAX) ||
        (double)(int64_t)j->valuedouble != j->valuedouble)
        return srv_fault_set(f, 400, "ttlMs",
                             "ttlMs: must be a whole number of milliseconds from 1 to %.0f",
                             KEYS_TTL_MAX);
    *out = j->valuedouble;
    return 0;
}

static int take_wish(struct srv_call *c, bool is_login, struct wish *w, struct srv_fault *f)
{
    *w = (struct wish){ .tenant = "default",
                        .ttl_ms = conf_number(c->srv->conf, "auth.defaultTtlMs") };
    if (c->body.len > 0 || !is_login) {
        if (srv_json_object(&w->body, buf_text(&c->body), c->body.len, f) < 0)
            return -1;
    }
    const char *name = json_string(w->body, "name");
    if (name != NULL && name[0] == '\0') { /* as good as none */
        cJSON_DeleteItemFromObjectCaseSensitive(w->body, "name");
        name = NULL;
    }
    if (take_word(w->body, "name", &w->name, f) < 0 ||
        take_word(w->body, "tenantId", &w->tenant, f) < 0 || take_ttl(w->body, &w->ttl_ms, f) < 0)
        return -1;
    if (w->name == NULL && !is_login)
        return srv_fault_set(f, 400, NULL, "name is required");
    return 0;
}

/* ---- Routes ---------------------------------------------------------------------------------- */

static void make(struct srv_call *c, bool is_login)
{
    auto_json cJSON *j = cJSON_CreateObject();
    auto_wish struct wish w = { .body = NULL };
    struct srv_keys *k = keys_of(c);
    struct srv_keys_made made;
    struct srv_fault f;

    if (k == NULL)
        return;
    if (take_wish(c, is_login, &w, &f) < 0) {
        srv_reply_fault(c, &f);
        return;
    }
    if (srv_keys_make(k, w.name, w.tenant, w.ttl_ms, &made, NULL) < 0) {
        reply_unreachable(c);
    } else if (is_login) {
        (void)cJSON_AddStringToObject(j, "token", made.key);
        (void)cJSON_AddStringToObject(j, "expiresAt", made.expires);
        (void)cJSON_AddStringToObject(j, "keyId", made.id);
        log_line(srv_keys_log(k), ISOL8_LOG_INFO, "Login token issued: id=%s", made.id);
        srv_reply_json(c, 200, j);
    } else {
        (void)cJSON_AddStringToObject(j, "id", made.id);
        (void)cJSON_AddStringToObject(j, "key", made.key);
        (void)cJSON_AddStringToObject(j, "name", w.name);
        (void)cJSON_AddStringToObject(j, "keyPrefix", made.prefix);
        (void)cJSON_AddStringToObject(j, "tenantId", w.tenant);
        (void)cJSON_AddStringToObject(j, "expiresAt", made.expires);
        log_line(srv_keys_log(k), ISOL8_LOG_INFO, "Created API key: id=%s name=%s", made.id,
                 w.name);
        srv_reply_json(c, 201, j);
    }
    explicit_bzero(&made, sizeof(made));
}

void srv_post_auth_keys(struct srv_call *c)
{
    make(c, false);
}

void srv_post_auth_login(struct srv_call *c)
{
    make(c, true);
}

static void add_text(cJSON *j, const char *key, const char *text)
{
    (void)json_add_text(j, key, text, strlen(text));
}

static void add_key(const struct keys_listed *key, void *user)
{
    cJSON *list = user, *j = cJSON_CreateObject();

    add_text(j, "id", key->id);
    add_text(j, "name", key->name);
    add_text(j, "keyPrefix", key->prefix);
    add_text(j, "tenantId", key->tenant);
    add_text(j, "createdAt", key->created);
    add_text(j, "expiresAt", key->expires);
    if (key->last_used == NULL)
        (void)cJSON_AddNullToObject(j, "lastUsedAt");
    else
        add_text(j, "lastUsedAt", key->last_used);
    (void)cJSON_AddBoolToObject(j, "revoked", key->is_revoked);
    (void)cJSON_AddItemToArray(list, j);
}

void srv_get_auth_keys(struct srv_call *c)
{
    auto_json cJSON *j = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(j, "keys");
    const char *tenant = srv_query(c, "tenantId");
    struct srv_keys *k = keys_of(c);
    bool is_cut;

    if (k == NULL)
        return;
    if (tenant != NULL && tenant[0] == '\0')
        tenant = NULL;
    /* What no tenant can be called has no keys, and is no text for a database. */
    if (tenant != NULL && !keys_word_is_valid(tenant, strlen(tenant))) {
        srv_reply_json(c, 200, j);
        return;
    }
    if (srv_keys_list(k, tenant, add_key, list, &is_cut, NULL) < 0) {
        reply_unreachable(c);
        return;
    }
    if (is_cut)
        (void)cJSON_AddTrueToObject(j, "truncated");
    srv_reply_json(c, 200, j);
}

void srv_delete_auth_key(struct srv_call *c)
{
    auto_json cJSON *j = cJSON_CreateObject();
    struct srv_keys *k = keys_of(c);
    struct srv_fault f;
    int r = 0;

    if (k == NULL)
        return;
    if (keys_word_is_valid(c->tail, strlen(c->tail)))
        r = srv_keys_revoke(k, c->tail, NULL);
    if (r < 0) {
        reply_unreachable(c);
    } else if (r == 0) {
        (void)srv_fault_set(&f, 404, NULL, "Key not found");
        srv_reply_fault(c, &f);
    } else {
        (void)cJSON_AddTrueToObject(j, "ok");
        (void)cJSON_AddStringToObject(j, "id", c->tail);
        log_line(srv_keys_log(k), ISOL8_LOG_INFO, "Revoked API key: id=%s", c->tail);
        srv_reply_json(c, 200, j);
    }
}
