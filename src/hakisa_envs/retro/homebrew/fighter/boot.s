| Vectors, header and start-up of a Mega Drive cartridge.
    .section .boot, "ax"
    .long 0x00FFFE00            | stack: the top of RAM, below what the console keeps
    .long start
    .rept 28
    .long ignore
    .endr
    .long vertical_blank        | level 6
    .rept 33
    .long ignore
    .endr

    .ascii "SEGA MEGA DRIVE "
    .ascii "HAKISA  2026.NOV"
    .ascii "HAKISA FIGHTER                                  "
    .ascii "HAKISA FIGHTER                                  "
    .ascii "GM HAKISA01-01"
    .word 0
    .ascii "J6              "
    .long 0, rom_end - 1
    .long 0x00FF0000, 0x00FFFFFF
    .ascii "            "
    .ascii "            "
    .ascii "HAKISA, MIT LICENCE, NO RIGHTS NEEDED.  "
    .ascii "JUE             "

start:
    move.w  #0x2700, %sr
    move.b  0xA10001, %d0       | consoles after the first want to be greeted
    andi.b  #15, %d0
    beq.s   1f
    move.l  #0x53454741, 0xA14000
1:  lea     0xFF0000, %a0       | RAM holds anything at power-on
    move.w  #0x3FFF, %d0
2:  clr.l   (%a0)+
    dbra    %d0, 2b
    lea     0x00FFFE00, %sp
    jmp     main

vertical_blank:
ignore:
    rte
    .section .note.GNU-stack, "", @progbits
