; A ROM that times single operations on the bare machine, for any PC emulator that takes it as its firmware (-bios). It
; says "NANO name operations ticks" on COM1, in hexadecimal, ticks of the TSC, between two lines "MARK ticks" by which
; the host's clock tells what a tick is; then it ends through isa-debug-exit at 501h.
;
; It runs in flat 32-bit ring 0 with paging, out of RAM at 30000h: 2000 IDT, 3000 TSS, 5000 stack of interrupts from
; ring 3, 7000 stack of ring 0, c000 that of ring 3, 10000 page directory, 11000 page table, 20000 data, 50000-5ffff
; sixteen pages to touch, 60000 a page that is remapped, 70000 one that is not there.
        org 0x30000

CODE0   equ 0x08
DATA0   equ 0x10
CODE3   equ 0x1b
DATA3   equ 0x23
TSS     equ 0x28
IDT     equ 0x2000
TSS_AT  equ 0x3000
PD      equ 0x10000
PT      equ 0x11000
CELL    equ 0x20020
MIXED_ROUNDS equ 2000
MIXED_LENGTH equ 100

%define offset(label) ((label) - base)

base:
        bits 16
; The DOS way: code, variables and buffers in one page, in real mode.
mixed:  push cs
        pop ds
        push cs
        pop es
        rdtsc
        mov [offset(mixed_from)], eax
        mov [offset(mixed_from) + 4], edx
        mov dx, MIXED_ROUNDS
.round: mov di, offset(mixed_buffer)
        mov cx, MIXED_LENGTH
.byte:  mov al, [offset(mixed_seed)]
        call .step
        mov [offset(mixed_seed)], al
        stosb
        inc word [offset(mixed_count)]
        loop .byte
        dec dx
        jnz .round
        rdtsc
        mov [offset(mixed_to)], eax
        mov [offset(mixed_to) + 4], edx
        jmp 0xf000:offset(protect)
.step:  rol al, 3
        xor al, cl
        add al, [offset(mixed_count)]
        ret
mixed_from: dq 0
mixed_to: dq 0
mixed_count: dw 0
mixed_seed: db 1
mixed_buffer: times MIXED_LENGTH db 0
        align 4096, db 0

start:  cli
        cld
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        mov ax, 0xf000
        mov ds, ax
        mov ax, 0x3000
        mov es, ax
        mov ss, ax
        mov sp, 0xf000
        xor si, si
        xor di, di
        mov cx, 0x8000
        rep movsw
        jmp 0x3000:offset(mixed)

protect: o32 lgdt [cs:offset(gdtr)]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE0:main

        align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        dw 0xff, TSS_AT, 0x8900, 0
gdtr:   dw $ - gdt - 1
        dd gdt
idtr:   dw 0x7ff
        dd IDT

        bits 32
; gate vector, handler
%macro gate 2
        mov eax, %2
        mov [IDT + (%1) * 8], ax
        mov word [IDT + (%1) * 8 + 2], CODE0
        mov word [IDT + (%1) * 8 + 4], 0xee00
        shr eax, 16
        mov [IDT + (%1) * 8 + 6], ax
%endmacro

; measure NAME, ROUNDS: times the macro op_NAME, eight of them in a loop of EBP rounds. An operation may change any
; register but EBP and ESP; it starts with ESI = CELL, EDI = the stack pointer.
%macro measure 2
        mov dword [what], %%name
        mov dword [rounds], %2
        mov dword [run], %%run
        call time_it
        jmp %%end
%%name: db %str(%1), 0
        align 16
%%run:
%rep 8
        op_%1
%endrep
        dec ebp
        jnz %%run
        ret
%%end:
%endmacro

%macro op_add 0
        add eax, 3
%endmacro
%macro op_load 0
        mov eax, [CELL + 16]
%endmacro
%macro op_chase 0
        mov esi, [esi]
%endmacro
%macro op_store 0
        mov [CELL + 32], eax
%endmacro
%macro op_push_pop 0
        push eax
        pop edx
%endmacro
%macro op_call_ret 0
        call return
%endmacro
%macro op_indirect_call 0
        call [pointer]
%endmacro
%macro op_pushf_popf 0
        pushfd
        popfd
%endmacro
%macro op_load_segment 0
        mov eax, DATA3
        mov es, eax
%endmacro
%macro op_cli_sti 0
        cli
        sti
%endmacro
%macro op_in 0
        in al, 0x21
%endmacro
%macro op_out 0
        out 0x80, al
%endmacro
%macro op_rdtsc 0
        rdtsc
%endmacro
%macro op_cpuid 0
        xor eax, eax
        cpuid
%endmacro
%macro op_movs_4k 0
        mov esi, 0x50000
        mov edi, 0x58000
        mov ecx, 1024
        rep movsd
%endmacro
%macro op_int_iret 0
        int 0x40
%endmacro
; To ring 3 by IRET and back by INT.
%macro op_ring_change 0
        mov ebx, %%back
        mov edi, esp
        push dword DATA3
        push dword 0xc000
        push dword 2
        push dword CODE3
        push dword %%user
        iretd
%%user: int 0x41
%%back:
%endmacro
; Five bytes, which the handler steps over.
%macro op_page_fault 0
        mov eax, [0x70000]
%endmacro
%macro op_cr3_16_pages 0
        mov eax, cr3
        mov cr3, eax
%assign page 0
%rep 16
        mov eax, [0x50000 + page * 4096]
%assign page page + 1
%endrep
%endmacro
%macro op_pte_invlpg 0
        xor dword [PT + 0x60 * 4], 0x1000
        invlpg [0x60000]
        mov eax, [0x60000]
%endmacro
; The next instruction is changed.
%macro op_patch_near 0
        mov [%%next + 1], ebp
%%next: mov eax, 0
%endmacro
; A function in another page is changed, then called.
%macro op_patch_far 0
        mov [patched + 1], ebp
        call patched
%endmacro

main:   mov ax, DATA3
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ax, DATA0
        mov ss, ax
        mov esp, 0x7000
        lidt [idtr]
        gate 14, on_page_fault
        gate 0x40, on_int
        gate 0x41, on_ring3
        mov dword [TSS_AT + 4], 0x5000
        mov dword [TSS_AT + 8], DATA0
        mov word [TSS_AT + 0x66], 0x100
        mov ax, TSS
        ltr ax
        mov edi, PD
        xor eax, eax
        mov ecx, 1024
        rep stosd
        mov dword [PD], PT + 7
        mov eax, 7
        mov ecx, 1024
.page:  stosd
        add eax, 4096
        loop .page
        mov dword [PT + 0x70 * 4], 0
        mov eax, PD
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        mov dword [CELL], CELL
        call mark
        mov dword [what], mixed_name
        mov ecx, MIXED_ROUNDS * MIXED_LENGTH
        mov eax, [mixed_to]
        mov edx, [mixed_to + 4]
        sub eax, [mixed_from]
        sbb edx, [mixed_from + 4]
        call report
        measure add, 500000
        measure load, 500000
        measure chase, 200000
        measure store, 500000
        measure push_pop, 200000
        measure call_ret, 100000
        measure indirect_call, 100000
        measure pushf_popf, 20000
        measure load_segment, 20000
        measure cli_sti, 20000
        measure in, 10000
        measure out, 10000
        measure rdtsc, 20000
        measure cpuid, 5000
        measure movs_4k, 2000
        measure int_iret, 10000
        measure ring_change, 5000
        measure page_fault, 5000
        measure cr3_16_pages, 2000
        measure pte_invlpg, 5000
        measure patch_near, 1000
        measure patch_far, 2000
        call mark
        mov dx, 0x501
        xor eax, eax
        out dx, ax
.end:   hlt
        jmp .end

on_int: iretd
on_ring3: mov esp, edi
        jmp ebx
on_page_fault: add esp, 4
        add dword [esp], 5
        iretd
return: ret

; Runs [run] for a sixteenth of its rounds untimed, then for all of them, and reports.
time_it: mov ebp, [rounds]
        shr ebp, 4
        call .go
        rdtsc
        mov [from], eax
        mov [from + 4], edx
        mov ebp, [rounds]
        call .go
        rdtsc
        sub eax, [from]
        sbb edx, [from + 4]
        mov ecx, [rounds]
        shl ecx, 3
        jmp report
.go:    mov esi, CELL
        lea edi, [esp - 4]
        xor eax, eax
        jmp [run]

; [what] operation, ECX times in EDX:EAX ticks
report: push eax
        push edx
        push ecx
        mov esi, nano
        call print
        mov esi, [what]
        call print
        call space
        pop eax
        call hex
        call space
        pop eax
        call hex
        pop eax
        call hex
        jmp line

mark:   mov esi, mark_text
        call print
        rdtsc
        push eax
        mov eax, edx
        call hex
        pop eax
        call hex
line:   mov al, 10
        jmp put
space:  mov al, ' '
put:    push edx
        push eax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop eax
        mov dx, 0x3f8
        out dx, al
        pop edx
        ret
print:  lodsb
        test al, al
        jz .end
        call put
        jmp print
.end:   ret
hex:    mov ecx, 8
        mov ebx, eax
.digit: rol ebx, 4
        mov al, bl
        and al, 15
        cmp al, 10
        sbb al, 0x69
        das
        call put
        loop .digit
        ret

mark_text: db 'MARK ', 0
nano:   db 'NANO ', 0
mixed_name: db 'real_mixed_page', 0

        align 4096, db 0
patched: mov eax, 0
        ret

        align 4096, db 0
pointer: dd return
what:   dd 0
rounds: dd 0
run:    dd 0
from:   dq 0

        times 0xfff0 - ($ - base) db 0xff
        bits 16
        jmp 0xf000:offset(start)
        times 0x10000 - ($ - base) db 0xff
