; A guest for tests of streams, as a ROM of 64 KiB: says U and a number on COM1 to COM4, D on port E9h and L to the
; printer, and then echoes what comes in on the serial ports.
bits 16
org 0
start:
    cli
    mov ax, cs
    mov ds, ax
    cld
    mov si, ports
    mov bl, '1'
greet:
    lodsw
    test ax, ax
    jz others
    xchg dx, ax
    mov al, 'U'
    out dx, al
    mov al, bl
    out dx, al
    inc bx
    jmp greet
others:
    mov al, 'D'
    out 0xe9, al
    mov dx, 0x378
    mov al, 'L'
    out dx, al
    mov dl, 0x7a
    mov al, 0x0d                    ; the strobe, and its end
    out dx, al
    mov al, 0x0c
    out dx, al
again:
    mov si, ports
echo:
    lodsw
    test ax, ax
    jz again
    mov dx, ax
    add dx, 5                       ; line status
    in al, dx
    test al, 1
    jz echo
    sub dx, 5
    in al, dx
    out dx, al
    jmp echo
ports: dw 0x3f8, 0x2f8, 0x3e8, 0x2e8, 0

    times 0xfff0 - ($ - $$) db 0xf4
    jmp 0xf000:start
    times 0x10000 - ($ - $$) db 0
