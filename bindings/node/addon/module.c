/* SPDX-License-Identifier: Apache-2.0 */
/**
 * module.c - the addon's table of functions
 *
 * What is here is for the package's own JavaScript (index.js), which checks what users give and
 * makes classes and iterators of it. The module may be loaded by several environments of a process
 * (worker threads); they share one host (host.c).
 */
#include <isol8/isol8.h>
#include <node_api.h>

#include "bindings/node/addon/engine.h"
#include "bindings/node/addon/execution.h"
#include "bindings/node/addon/host.h"
#include "bindings/node/addon/lane.h"
#include "bindings/node/addon/stream.h"
#include "bindings/node/addon/value.h"

static napi_value version(napi_env env, napi_callback_info info)
{
    (void)info;
    return value_text(env, isol8_version());
}

static napi_value runtimes(napi_env env, napi_callback_info info)
{
    napi_value array = NULL;
    const char *name;

    (void)info;
    (void)napi_create_array(env, &array);
    for (uint32_t i = 0; (name = isol8_runtime_name(i)) != NULL; i++)
        (void)napi_set_element(env, array, i, value_text(env, name));
    return array;
}

static napi_value detect(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1], result = NULL;
    char name[4096];

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok ||
        napi_get_value_string_utf8(env, argv[0], name, sizeof(name), NULL) != napi_ok) {
        (void)napi_throw_type_error(env, NULL, "the file name must be a string");
        return NULL;
    }
    const char *runtime = isol8_runtime_detect(name);
    if (runtime != NULL)
        return value_text(env, runtime);
    (void)napi_get_null(env, &result);
    return result;
}

static const struct {
    const char *name;
    napi_callback function;
} functions[] = {
    { "version", version },
    { "runtimes", runtimes },
    { "detect", detect },
    { "configure", host_configure },
    { "cleanup", host_cleanup },
    { "create", engine_create },
    { "start", engine_start },
    { "stop", engine_stop },
    { "putFile", engine_put_file },
    { "getFile", engine_get_file },
    { "containerId", engine_container_id },
    { "execute", execution_execute },
    { "streamOpen", stream_js_open },
    { "streamNext", stream_js_next },
    { "streamClose", stream_js_close },
};

NAPI_MODULE_INIT()
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        napi_value function = NULL;
        if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function,
                                 NULL, &function) != napi_ok ||
            napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
            return NULL;
    }
    return js_open(env) == NULL ? NULL : exports;
}
