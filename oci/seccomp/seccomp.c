/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.c - the built-in profile, and custom ones from files. */
#include "oci/seccomp/seccomp.h"

#include <fcntl.h>

#include "base/path.h"

extern const char oci_seccomp_strict_json[]; /* embedded by the build; a NUL follows it */

const char *oci_seccomp_strict(void)
{
    return oci_seccomp_strict_json;
}

int oci_seccomp_load(const char *path, char **json_out, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OCI_SECCOMP_FILE_MAX);

    int r = path_read(AT_FDCWD, path, OCI_SECCOMP_FILE_MAX, &text, err);
    if (r == 0)
        r = oci_seccomp_convert(buf_text(&text), text.len, "profile", json_out, err);
    if (r < 0)
        return err_wrap(err, r, "Failed to load custom seccomp profile at %s", path);
    return 0;
}
