/* SPDX-License-Identifier: Apache-2.0 */
/* build_step.h - scripts of image builds, in sandboxes. */
#ifndef EXECUTOR_BUILD_STEP_H
#define EXECUTOR_BUILD_STEP_H

#include "oci/build.h"

/** struct oci_build_sandbox.run; @user is the host. */
int exec_build_step(void *user, const struct oci_step *step, isol8_error *err);

#endif
