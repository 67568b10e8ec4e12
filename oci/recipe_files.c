/* SPDX-License-Identifier: Apache-2.0 */
/* recipe_files.c - the files of images/, compiled in by oci/CMakeLists.txt. */
#include <string.h>

#include "oci/recipe.h"

#define DECLARE(symbol) extern const unsigned char symbol[], symbol##_end[]

DECLARE(recipe_base);
DECLARE(recipe_base_build);
DECLARE(recipe_base_nsswitch);
DECLARE(recipe_bash);
DECLARE(recipe_bash_build);
DECLARE(recipe_bash_install);
DECLARE(recipe_python);
DECLARE(recipe_python_build);
DECLARE(recipe_node);
DECLARE(recipe_bun);
DECLARE(recipe_deno);
DECLARE(recipe_agent);
DECLARE(recipe_agent_lock);
DECLARE(recipe_agent_pi);
DECLARE(recipe_custom_python);
DECLARE(recipe_custom_node);
DECLARE(recipe_custom_bun);
DECLARE(recipe_custom_deno);
DECLARE(recipe_custom_bash);

#define FILE_ENTRY(dir, name, symbol)                                                              \
    {                                                                                              \
        dir, name, symbol, symbol##_end                                                            \
    }

static const struct recipe_file files[] = {
    FILE_ENTRY("base", "recipe.json", recipe_base),
    FILE_ENTRY("base", "build.sh", recipe_base_build),
    FILE_ENTRY("base", "nsswitch.conf", recipe_base_nsswitch),
    FILE_ENTRY("bash", "recipe.json", recipe_bash),
    FILE_ENTRY("bash", "build.sh", recipe_bash_build),
    FILE_ENTRY("bash", "apt-install", recipe_bash_install),
    FILE_ENTRY("python", "recipe.json", recipe_python),
    FILE_ENTRY("python", "build.sh", recipe_python_build),
    FILE_ENTRY("node", "recipe.json", recipe_node),
    FILE_ENTRY("bun", "recipe.json", recipe_bun),
    FILE_ENTRY("deno", "recipe.json", recipe_deno),
    FILE_ENTRY("agent", "recipe.json", recipe_agent),
    FILE_ENTRY("agent", "lock.json", recipe_agent_lock),
    FILE_ENTRY("agent", "pi", recipe_agent_pi),
    FILE_ENTRY("custom", "python", recipe_custom_python),
    FILE_ENTRY("custom", "node", recipe_custom_node),
    FILE_ENTRY("custom", "bun", recipe_custom_bun),
    FILE_ENTRY("custom", "deno", recipe_custom_deno),
    FILE_ENTRY("custom", "bash", recipe_custom_bash),
    { NULL, NULL, NULL, NULL },
};

const struct recipe_file *recipe_files(void)
{
    return files;
}

const struct recipe_file *recipe_file_find(const char *dir, const char *name)
{
    for (const struct recipe_file *f = files; f->dir != NULL; f++) {
        if (strcmp(f->dir, dir) == 0 && strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}
