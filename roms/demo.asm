; Umbra's demo ROM: a 64 KiB firmware that needs no other. It says what processor it runs on, counts primes, and, where
; there is a VGA, programs it by hand (mode 13h) and draws; a key changes the colours. On the bare board it ends through
; isa-debug-exit (port 0x501, code 0). The text goes to COM1.
        bits 16
        org 0
COM1    equ 0x3f8
EXIT    equ 0x501
CS32    equ 0x08
DS32    equ 0x10
SINE    equ 0x20000             ; 256 bytes
TICKS   equ 0x20100
COLOURS equ 0x20104
IDT     equ 0x20200
SIEVE   equ 0x30000
LIMIT   equ 200000

base:
gdt:    dq 0
        dq 0x00cf9b000000ffff   ; flat code
        dq 0x00cf93000000ffff   ; flat data
gdtr:   dw $ - gdt - 1
        dd 0xf0000 + gdt
idtr:   dw 256 * 8 - 1
        dd IDT

start:  cli
        o32 lgdt [cs:gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CS32:0xf0000 + main

        bits 32
main:   mov ax, DS32
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x1fff0
        mov esi, 0xf0000 + hello
        call print
        call identify
        mov esi, 0xf0000 + primes_text
        call print
        call count_primes
        call print_number
        mov esi, 0xf0000 + newline
        call print
        call have_vga
        jz .no_vga
        call draw_forever
.no_vga:
        mov dx, EXIT
        xor eax, eax
        out dx, ax
.end:   cli
        hlt
        jmp .end

; ESI: text in the ROM, ended by a zero.
print:  lodsb
        test al, al
        jz .done
        call putc
        jmp print
.done:  ret

putc:   push edx
        mov dx, COM1
        out dx, al
        pop edx
        ret

; EAX as a decimal number.
print_number:
        mov ebx, 10
        xor ecx, ecx
.more:  xor edx, edx
        div ebx
        push edx
        inc ecx
        test eax, eax
        jnz .more
.show:  pop eax
        add al, '0'
        call putc
        loop .show
        ret

; The name that CPUID gives, where there is a CPUID.
identify:
        pushfd
        pop eax
        mov ebx, eax
        xor eax, 1 << 21
        push eax
        popfd
        pushfd
        pop eax
        cmp eax, ebx
        je .old
        mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000004
        jb .old
        mov esi, 0x80000002
.leaf:  mov eax, esi
        cpuid
        push edx
        push ecx
        push ebx
        push eax
        mov edi, 16
.byte:  mov al, [esp]
        test al, al
        jz .skip
        call putc
.skip:  inc esp
        dec edi
        jnz .byte
        inc esi
        cmp esi, 0x80000004
        jbe .leaf
        ret
.old:   mov esi, 0xf0000 + no_name
        jmp print

; How many primes there are below LIMIT, in EAX.
count_primes:
        mov edi, SIEVE
        mov ecx, LIMIT
        xor eax, eax
        rep stosb
        xor ebp, ebp
        mov ebx, 2
.next:  cmp byte [SIEVE + ebx], 0
        jne .composite
        inc ebp
        mov ecx, ebx
.strike:
        add ecx, ebx
        cmp ecx, LIMIT
        jae .composite
        mov byte [SIEVE + ecx], 1
        jmp .strike
.composite:
        inc ebx
        cmp ebx, LIMIT
        jb .next
        mov eax, ebp
        ret

; ZF clear where a VGA answers: its sequencer's map mask can be written and read back.
have_vga:
        mov dx, 0x3c4
        mov ax, 0x0502
        out dx, ax
        mov al, 2
        out dx, al
        inc dx
        in al, dx
        and al, 0x0f
        cmp al, 5
        sete al
        test al, al
        ret

; AL: first index; ESI: values; ECX: how many; DX: index port, data port after it.
load_registers:
        mov ah, [esi]
        inc esi
        out dx, ax
        inc al
        loop load_registers
        ret

mode_13h:
        mov dx, 0x3c2
        mov al, 0x63
        out dx, al
        mov dx, 0x3c4
        mov esi, 0xf0000 + sequencer
        mov ecx, 5
        xor al, al
        call load_registers
        mov dx, 0x3d4
        mov ax, 0x0e11          ; unlock registers 0-7
        out dx, ax
        mov ecx, 25
        xor al, al
        call load_registers
        mov dx, 0x3ce
        mov ecx, 9
        xor al, al
        call load_registers
        mov dx, 0x3da
        in al, dx
        mov dx, 0x3c0
        xor ecx, ecx
.attr:  mov al, cl
        out dx, al
        mov al, cl
        cmp cl, 16
        jb .set
        mov al, [0xf0000 + attributes - 16 + ecx]
.set:   out dx, al
        inc ecx
        cmp ecx, 21
        jb .attr
        mov al, 0x20
        out dx, al
        ret

; A palette of three smooth waves; COLOURS shifts them against one another.
palette:
        mov dx, 0x3c8
        xor eax, eax
        out dx, al
        inc dx
        xor ecx, ecx
.next:  mov ebx, ecx
        call .wave
        mov ebx, [COLOURS]
        lea ebx, [ebx * 8 + ebx + 85]
        add ebx, ecx
        call .wave
        mov ebx, [COLOURS]
        lea ebx, [ebx * 4 + ebx + 170]
        add ebx, ecx
        call .wave
        inc ecx
        cmp ecx, 256
        jb .next
        ret
.wave:  movzx ebx, bl
        mov al, [SINE + ebx]
        shr al, 2
        out dx, al
        ret

; 256 values from 0 to 255 and back: two parabolas, close enough to a sine.
sine_table:
        xor ecx, ecx
.next:  mov eax, ecx
        and eax, 127
        mov ebx, 128
        sub ebx, eax
        imul eax, ebx           ; 0 … 4096 … 0
        shr eax, 5
        cmp eax, 127
        jbe .fits
        mov eax, 127
.fits:  test cl, 0x80
        jz .upper
        neg eax
.upper: add eax, 128
        mov [SINE + ecx], al
        inc ecx
        cmp ecx, 256
        jb .next
        ret

; 8259s remapped to 20h, 8254 at about 70 Hz, the keyboard's and the timer's gates.
interrupts:
        mov edi, IDT
        mov ecx, 256
.fill:  mov eax, 0xf0000 + ignore
        call set_gate
        loop .fill
        mov edi, IDT + 0x20 * 8
        mov eax, 0xf0000 + timer
        call set_gate
        mov eax, 0xf0000 + keyboard
        call set_gate
        lidt [0xf0000 + idtr]
        mov al, 0x11
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfc
        out 0x21, al
        mov al, 0xff
        out 0xa1, al
        mov al, 0x34
        out 0x43, al
        mov ax, 17045
        out 0x40, al
        mov al, ah
        out 0x40, al
        ret

set_gate:                       ; [EDI] = interrupt gate to EAX; EDI goes on
        mov [edi], ax
        mov word [edi + 2], CS32
        mov word [edi + 4], 0x8e00
        shr eax, 16
        mov [edi + 6], ax
        add edi, 8
        ret

timer:  push eax
        inc dword [TICKS]
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
keyboard:
        push eax
        in al, 0x60
        test al, 0x80
        jnz .release
        add dword [COLOURS], 7
.release:
        mov al, 0x20
        out 0x20, al
        pop eax
ignore: iretd

draw_forever:
        call mode_13h
        call sine_table
        mov dword [TICKS], 0
        mov dword [COLOURS], 0
        call interrupts
        sti
.frame: call palette
        mov ebp, [TICKS]
        mov edi, 0xa0000
        xor edx, edx            ; row
.row:   xor ecx, ecx            ; column
        lea eax, [edx + ebp]
        movzx eax, al
        movzx esi, byte [SINE + eax]
        lea eax, [edx * 2 + ebp]
        neg eax
        movzx eax, al
        add esi, eax
.pixel: lea eax, [ecx + ebp * 2]
        movzx eax, al
        movzx ebx, byte [SINE + eax]
        lea eax, [ecx + edx]
        sub eax, ebp
        movzx eax, al
        add bl, [SINE + eax]
        add ebx, esi
        mov [edi], bl
        inc edi
        inc ecx
        cmp ecx, 320
        jb .pixel
        inc edx
        cmp edx, 200
        jb .row
        call title
.wait:  hlt
        cmp [TICKS], ebp
        je .wait
        jmp .frame

; The name in big letters: one bit of the font is 8 x 12 pixels.
title:  mov esi, 0xf0000 + font
        mov edi, 0xa0000 + 58 * 320 + 44
        mov ecx, 7              ; rows of the font
.row:   push ecx
        mov eax, [esi]
        add esi, 4
        mov ecx, 29
        push edi
.bit:   bt eax, ecx
        jnc .clear
        push eax
        push ecx
        push edi
        mov ebx, 12
.line:  mov eax, 0xffffffff
        mov [edi], eax
        mov [edi + 4], eax
        add edi, 320
        dec ebx
        jnz .line
        pop edi
        pop ecx
        pop eax
.clear: add edi, 8
        dec ecx
        jns .bit
        pop edi
        add edi, 320 * 12
        pop ecx
        loop .row
        ret

; Rows of U M B R A, five bits a letter and one between.
font:   dd 10001_0_10001_0_11110_0_11110_0_01110_0b
        dd 10001_0_11011_0_10001_0_10001_0_10001_0b
        dd 10001_0_10101_0_10001_0_10001_0_10001_0b
        dd 10001_0_10001_0_11110_0_11110_0_11111_0b
        dd 10001_0_10001_0_10001_0_10100_0_10001_0b
        dd 10001_0_10001_0_10001_0_10010_0_10001_0b
        dd 01110_0_10001_0_11110_0_10001_0_10001_0b

sequencer:
        db 0x03, 0x01, 0x0f, 0x00, 0x0e
crtc:   db 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00
        db 0x00, 0x00, 0x00, 0x9c, 0x0e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff
graphics:
        db 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff
attributes:
        db 0x41, 0x00, 0x0f, 0x00, 0x00

hello:  db "Umbra demo ROM", 13, 10, "processor: ", 0
no_name: db "one without a name", 0
primes_text: db 13, 10, "primes below 200000: ", 0
newline: db 13, 10, 0

        times 0xfff0 - ($ - base) db 0xff
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - base) db 0xff
