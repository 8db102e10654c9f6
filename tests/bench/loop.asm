; A ROM that any PC emulator takes as its firmware: 32-bit code that sorts, hashes, calls and branches over 64 KiB for
; ROUNDS rounds, says a checksum on port E9h and COM1, and ends (isa-debug-exit, or Bochs' port 8900h).
        bits 16
        org 0
%ifndef ROUNDS
%define ROUNDS 200
%endif
WORDS   equ 4096
DATA    equ 0x20000

base:
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
gdtr:   dw $ - gdt - 1
        dd 0xf0000 + gdt
start:  cli
        o32 lgdt [cs:gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:0xf0000 + main
        bits 32
main:   mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x10000
        ; the code runs from RAM
        mov esi, 0xf0000 + work
        mov edi, 0x30000
        mov ecx, work_end - work
        rep movsb
        mov ebp, ROUNDS
        xor ebx, ebx
.round: mov eax, 0x30000
        call eax
        dec ebp
        jnz .round
        mov ecx, 8
.digit: rol ebx, 4
        mov eax, ebx
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   mov dx, 0x3f8
        out dx, al
        out 0xe9, al
        loop .digit
        mov al, 10
        out 0xe9, al
        mov dx, 0x3f8
        out dx, al
        mov dx, 0x501
        xor eax, eax
        out dx, ax
        mov dx, 0x8900
        mov esi, 0xf0000 + shutdown
        mov ecx, 8
        rep outsb
.end:   hlt
        jmp .end
shutdown: db "Shutdown"

; EBX: running checksum.
work:   mov edi, DATA           ; fill with a linear congruence
        mov ecx, WORDS
        mov eax, ebx
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        mov [edi], eax
        add edi, 4
        dec ecx
        jnz .fill
        mov esi, DATA           ; shell sort with gap 1 of 64-word runs
        mov edx, WORDS / 64
.run:   mov ecx, 1
.outer: mov eax, [esi + ecx * 4]
        mov edi, ecx
.inner: cmp [esi + edi * 4 - 4], eax
        jbe .place
        push dword [esi + edi * 4 - 4]
        pop dword [esi + edi * 4]
        dec edi
        jnz .inner
.place: mov [esi + edi * 4], eax
        inc ecx
        cmp ecx, 64
        jb .outer
        add esi, 256
        dec edx
        jnz .run
        mov esi, DATA           ; hash, a call per word
        mov ecx, WORDS
.hash:  mov eax, [esi]
        call .mix
        add esi, 4
        loop .hash
        ret
.mix:   xor ebx, eax
        rol ebx, 5
        movzx edx, al
        lea ebx, [ebx + edx * 4 + 7]
        test bl, 1
        jz .even
        not ebx
.even:  ret
work_end:

        times 0xfff0 - ($ - base) db 0xff
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - base) db 0xff
