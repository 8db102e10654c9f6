; A ROM that does nothing but triple fault: an exception with no room in the IDT, twice. For tests.
        bits 16
        org 0
start:  cli
        o32 lidt [cs:nothing]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        int3
nothing: dw 0
        dd 0
        times 0xfff0 - ($ - $$) db 0xff
        jmp 0xf000:start
        times 0x10000 - ($ - $$) db 0xff
