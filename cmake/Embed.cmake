# SPDX-License-Identifier: Apache-2.0
# isol8_embed(TARGET SYMBOL FILE): makes the bytes of FILE available to TARGET as
#   extern const unsigned char SYMBOL[];  extern const unsigned char SYMBOL_end[];
# by the assembler's .incbin, which takes any size without a generated C array.
enable_language(ASM)
function(isol8_embed target symbol file)
  set(asm ${CMAKE_CURRENT_BINARY_DIR}/embed_${symbol}.S)
  file(CONFIGURE OUTPUT ${asm} CONTENT
"    .section .rodata
    .global ${symbol}
    .hidden ${symbol}
    .global ${symbol}_end
    .hidden ${symbol}_end
    .balign 16
${symbol}:
    .incbin \"${file}\"
${symbol}_end:
    .byte 0
    .section .note.GNU-stack,\"\",%progbits
" @ONLY)
  set_source_files_properties(${asm} PROPERTIES OBJECT_DEPENDS ${file})
  target_sources(${target} PRIVATE ${asm})
endfunction()
