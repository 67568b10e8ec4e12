/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - the table of routes. server/openapi.json says the same, and a test compares them. */
#include <string.h>

#include "server/srv.h"

const struct srv_route srv_routes[] = {
    { "GET", "/health", SRV_NEED_NOTHING, srv_get_health, NULL },
    { "GET", "/ready", SRV_NEED_NOTHING, srv_get_ready, NULL },
    { "GET", "/metrics", SRV_NEED_KEY, srv_get_metrics, NULL },
    { "GET", "/openapi.json", SRV_NEED_KEY, srv_get_openapi, NULL },
    { "POST", "/execute", SRV_NEED_KEY, srv_post_execute, NULL },
    { "POST", "/execute/stream", SRV_NEED_KEY, srv_post_execute_stream, NULL },
    { "GET", "/execute/ws", SRV_NEED_KEY, srv_get_websocket, NULL },
    { "POST", "/file", SRV_NEED_KEY, srv_post_file, srv_post_file_sink },
    { "GET", "/file", SRV_NEED_KEY, srv_get_file, NULL },
    { "GET", "/sessions", SRV_NEED_KEY, srv_get_sessions, NULL },
    { "DELETE", "/session/*", SRV_NEED_KEY, srv_delete_session, NULL },
    { "POST", "/cleanup", SRV_NEED_MASTER, srv_post_cleanup, NULL },
    { "POST", "/auth/keys", SRV_NEED_MASTER, srv_post_auth_keys, NULL },
    { "GET", "/auth/keys", SRV_NEED_MASTER, srv_get_auth_keys, NULL },
    { "DELETE", "/auth/keys/*", SRV_NEED_MASTER, srv_delete_auth_key, NULL },
    { "POST", "/auth/login", SRV_NEED_MASTER, srv_post_auth_login, NULL },
    { NULL, NULL, SRV_NEED_KEY, NULL, NULL },
};

static bool matches(const char *pattern, const char *path, const char **tail)
{
    size_t n = strlen(pattern);

    *tail = "";
    if (pattern[n - 1] != '*')
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, n - 1) != 0 || path[n - 1] == '\0' || strchr(path + n - 1, '/'))
        return false;
    *tail = path + n - 1;
    return true;
}

const struct srv_route *srv_route_find(const char *method, const char *path, const char **tail)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (const struct srv_route *r = srv_routes; r->path != NULL; r++) {
        if (strcmp(r->method, method) == 0 && matches(r->path, path, tail))
            return r;
    }
    return NULL;
}
