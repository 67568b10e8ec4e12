# SPDX-License-Identifier: Apache-2.0
# Warnings, sanitizers and hardening, as interface targets.
add_library(isol8_warnings INTERFACE)
target_compile_options(isol8_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2 -Wvla -Wundef
  -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough -Wnull-dereference
  # Messages and fixed names are cut on purpose; snprintf() keeps them terminated.
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
  $<$<BOOL:${ISOL8_WERROR}>:-Werror>)

add_library(isol8_hardening INTERFACE)
target_link_libraries(isol8_hardening INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
if(ISOL8_SANITIZE)
  target_compile_options(isol8_warnings INTERFACE -fsanitize=${ISOL8_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(isol8_hardening INTERFACE -fsanitize=${ISOL8_SANITIZE})
else()
  target_compile_options(isol8_warnings INTERFACE -fstack-protector-strong -fstack-clash-protection
                         $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  target_link_options(isol8_hardening INTERFACE -Wl,-z,relro,-z,now)
endif()
