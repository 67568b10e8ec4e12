/* SPDX-License-Identifier: Apache-2.0 */
/* trust.c - certificates that a sandbox trusts beyond its image's. */
#include "executor/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

/* The topmost layer that has a bundle decides, as it would in the sandbox. */
static int read_image_bundle(const char *const *layers, size_t n, struct buf *out, isol8_error *err)
{
    for (size_t i = 0; i < n; i++) {
        auto_close int layer = open(layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (layer < 0)
            return err_sys(err, errno, "cannot open an image layer");
        if (faccessat(layer, &TRUST_BUNDLE_PATH[1], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return path_read(layer, &TRUST_BUNDLE_PATH[1], TRUST_BUNDLE_MAX, out, err);
    }
    if (n == 0)
        return path_read(AT_FDCWD, TRUST_BUNDLE_PATH, TRUST_BUNDLE_MAX, out, err);
    return 0; /* the image trusts nobody yet */
}

int trust_write_bundle(int bundle_dir, const char *const *layers, size_t n_layers,
                       const char *ca_file, isol8_error *err)
{
    auto_buf struct buf all = BUF_INIT(TRUST_BUNDLE_MAX);
    auto_buf struct buf own = BUF_INIT(TRUST_BUNDLE_MAX);

    int r = read_image_bundle(layers, n_layers, &all, err);
    if (r == 0)
        r = path_read(AT_FDCWD, ca_file, TRUST_BUNDLE_MAX, &own, err);
    if (r < 0)
        return err_wrap(err, r, "network.caFile");
    if (strstr(buf_text(&own), "-----BEGIN CERTIFICATE-----") == NULL)
        return err_set(err, ISOL8_E_INVAL, "network.caFile: '%s' holds no certificate in PEM form",
                       ca_file);
    all.max = 2 * (size_t)TRUST_BUNDLE_MAX;
    (void)buf_adds(&all, "\n");
    if (!buf_add(&all, own.data, own.len))
        return err_nomem(err);

    auto_close int fd = openat(bundle_dir, TRUST_FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                               0644);
    if (fd < 0)
        return err_sys(err, errno, "cannot create '%s'", TRUST_FILE_NAME);
    r = fd_write_all(fd, all.data, all.len);
    return r < 0 ? err_sys(err, -r, "cannot write '%s'", TRUST_FILE_NAME) : 0;
}
