; A guest for tests of disk images, as a ROM of 64 KiB: writes sector 1, 2, … of the first IDE disk, each filled with its
; own number, has each flushed and then says its number in four hexadecimal digits on port E9h. After the first error it
; says E and status and error registers, and halts.
bits 16
org 0
start:
    cli
    xor ax, ax                      ; calls need a stack
    mov ss, ax
    mov sp, 0x7000
    mov bx, 1
next:
    call ready
    mov dx, 0x1f2
    mov al, 1
    out dx, al
    inc dx
    mov al, bl
    out dx, al
    inc dx
    mov al, bh
    out dx, al
    inc dx
    xor al, al
    out dx, al
    inc dx
    mov al, 0xe0
    out dx, al
    inc dx
    mov al, 0x30
    out dx, al
    call ready
    test al, 8
    jz failed
    mov cx, 256
    mov dx, 0x1f0
    mov ax, bx
.word:
    out dx, ax
    loop .word
    call ready
    test al, 0x21
    jnz failed
    mov dx, 0x1f7
    mov al, 0xe7
    out dx, al
    call ready
    test al, 0x21
    jnz failed
    mov al, bh
    call hex
    mov al, bl
    call hex
    mov al, 10
    out 0xe9, al
    inc bx
    jmp next

failed:
    mov ah, al
    mov al, 'E'
    out 0xe9, al
    mov al, ah
    call hex
    mov dx, 0x1f1
    in al, dx
    call hex
    mov al, 10
    out 0xe9, al
.halt:
    hlt
    jmp .halt

ready:                              ; al: the status when not busy
    mov dx, 0x1f7
.busy:
    in al, dx
    test al, 0x80
    jnz .busy
    ret

hex:
    push ax
    shr al, 4
    call digit
    pop ax
    and al, 15
digit:
    add al, '0'
    cmp al, '9'
    jbe .out
    add al, 7
.out:
    out 0xe9, al
    ret

    times 0xfff0 - ($ - $$) db 0
    jmp 0xf000:start
    times 0x10000 - ($ - $$) db 0
