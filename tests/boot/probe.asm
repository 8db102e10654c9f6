; A boot floppy that asks the machine questions and prints the answers on the debug console (port E9h). The questions are
; bytes behind the code, made by tests/boot/probe.py: an operation, then its operands. Answers are hexadecimal.
bits 16
org 0x7c00

SECTORS equ 18 * 8
LOAD    equ 0x1000                      ; segment of everything behind the boot sector

boot:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov [drive], dl
    cld
    mov ax, LOAD
    mov es, ax
.sector:                                ; one by one: no transfer crosses a 64 KiB boundary
    mov ax, [lba]
    xor dx, dx
    mov cx, 18
    div cx
    mov cl, dl
    inc cl
    mov dh, al
    and dh, 1
    shr al, 1
    mov ch, al
    mov dl, [drive]
    mov ax, 0x0201
    xor bx, bx
    int 0x13
    jc end
    mov ax, es
    add ax, 32
    mov es, ax
    inc word [lba]
    cmp word [lba], SECTORS
    jb .sector
    jmp LOAD:0
end:                                    ; isa-debug-exit
    xor eax, eax
    mov dx, 0xf4
    out dx, eax
    hlt
    jmp $
drive: db 0
lba:   dw 1
    times 510 - ($ - $$) db 0
    dw 0xaa55

section questions vstart=0 follows=.text
    mov ax, cs
    mov ds, ax
    cli                                 ; FS: all of memory from real mode
    lgdt [gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    jmp LOAD:.real
.real:
    xor bx, bx
    mov fs, bx
    mov si, program
next:
    mov ax, cs
    mov ds, ax
    cld
    lodsb
    movzx bx, al
    shl bx, 1
    jmp [table + bx]
table: dw end_of_program, in8, in16, in32, out8, out16, out32, read8, read32, write32, call_bios, label, wait_for, block

end_of_program:
    mov al, 10
    out 0xe9, al
    jmp 0:end

in8:                                    ; port
    lodsw
    xchg dx, ax
    in al, dx
    jmp print8
in16:
    lodsw
    xchg dx, ax
    in ax, dx
    jmp print16
in32:
    lodsw
    xchg dx, ax
    in eax, dx
    jmp print32

out8:                                   ; port, value
    lodsw
    xchg dx, ax
    lodsb
    out dx, al
    jmp next
out16:
    lodsw
    xchg dx, ax
    lodsw
    out dx, ax
    jmp next
out32:
    lodsw
    xchg dx, ax
    lodsd
    out dx, eax
    jmp next

read8:                                  ; address, how many
    lodsd
    xchg edi, eax
    lodsw
    xchg cx, ax
.byte:
    mov al, [fs:edi]
    inc edi
    call hex8
    loop .byte
    jmp space
read32:                                 ; address
    lodsd
    mov eax, [fs:eax]
    jmp print32
write32:                                ; address, value
    lodsd
    xchg edi, eax
    lodsd
    mov [fs:edi], eax
    jmp next

call_bios:                              ; interrupt, EAX, EBX, ECX, EDX, ESI, EDI, ES
    lodsb
    mov [.int + 1], al
    mov di, registers
    mov cx, 6
    push ds
    pop es
    rep movsd
    lodsw
    push si
    mov es, ax
    mov eax, [registers]
    mov ebx, [registers + 4]
    mov ecx, [registers + 8]
    mov edx, [registers + 12]
    mov esi, [registers + 16]
    mov edi, [registers + 20]
    sti
.int:
    int 0
    pushf
    cli
    push cs
    pop ds
    mov [registers], eax
    mov [registers + 4], ebx
    mov [registers + 8], ecx
    mov [registers + 12], edx
    pop ax
    and al, 1                           ; carry
    call hex8
    mov al, ' '
    out 0xe9, al
    mov di, registers
    mov cx, 4
.register:
    mov eax, [di]
    call hex32
    mov al, ' '
    out 0xe9, al
    add di, 4
    loop .register
    pop si
    jmp next

label:                                  ; text, 0
    mov al, 10
.letter:
    out 0xe9, al
    lodsb
    test al, al
    jnz .letter
    mov al, ':'
    out 0xe9, al
    jmp space

wait_for:                               ; port, mask, value: a T when it does not come
    lodsw
    xchg dx, ax
    lodsw
    xchg bx, ax
    mov ecx, 300000
.again:
    in al, dx
    and al, bl
    cmp al, bh
    je next
    dec ecx
    jnz .again
    mov al, 'T'
    out 0xe9, al
    jmp next

block:                                  ; port, how many words
    lodsw
    xchg dx, ax
    lodsw
    xchg cx, ax
.word:
    in ax, dx
    call hex16
    loop .word
    jmp space

print32:
    call hex32
    jmp space
print16:
    call hex16
    jmp space
print8:
    call hex8
space:
    mov al, ' '
    out 0xe9, al
    jmp next

hex32:
    push eax
    shr eax, 16
    call hex16
    pop eax
hex16:
    push ax
    mov al, ah
    call hex8
    pop ax
hex8:
    push ax
    shr al, 4
    call digit
    pop ax
digit:
    push ax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    out 0xe9, al
    pop ax
    ret

gdtr: dw 15
    dd LOAD * 16 + gdt
gdt: dq 0
    dq 0x00cf92000000ffff
registers: times 6 dd 0
program:
    incbin PROGRAM
