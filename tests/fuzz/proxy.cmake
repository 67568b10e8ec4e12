# SPDX-License-Identifier: Apache-2.0
# What sandboxes send to the proxy.
foreach(name dns host http1 rules tls_hello)
  isol8_fuzz_target(${name} fuzz_${name}.c isol8_proxy isol8_base)
endforeach()
