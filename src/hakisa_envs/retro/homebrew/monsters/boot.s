@ Header and start-up of a Game Boy Advance cartridge.
    .section .boot, "ax"
    .arm
    .global start
start:
    b       begin
    .space  156                 @ the logo, which emulators do not ask for
    .ascii  "MONSTERS    "
    .ascii  "HKMNHK"
    .byte   0x96
    .space  11
    .space  2
begin:
    mov     r0, #0x1F           @ system mode
    msr     cpsr_c, r0
    ldr     sp, =0x03007F00
    ldr     r0, =main
    mov     lr, pc
    bx      r0
1:  b       1b
    .pool
    .section .note.GNU-stack, "", %progbits
