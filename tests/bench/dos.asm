; A ROM that times what programs of the DOS kind do: the same 16-bit code in real mode, in ring 3 of protected mode with
; segments of an LDT (Windows 3.x, DOS extenders) and in virtual-8086 mode under a small monitor with paging (EMM386).
; It reports as nano.asm does; the names begin with the mode.
;
; It runs out of RAM at 30000h. 500 IVT is real mode's at 0; 2000 IDT, 4000 TSS with an I/O bitmap, 8000 page directory
; and table, 40000 data, 50000 another data segment, 60000 stacks (ffff real, 8000 ring 0), 70000 far code.
        org 0

CODE0   equ 0x08
DATA0   equ 0x10
TSS     equ 0x18
LDT     equ 0x20
; In the LDT, ring 3.
CODE    equ 0x07
DATA    equ 0x0f
EXTRA   equ 0x17
STACK   equ 0x1f
FARCODE equ 0x27
TEXT    equ 0x2f
PIXELS  equ 0x37
PATCH   equ 0x3f
IDT     equ 0x2000
TSS_AT  equ 0x4000
PD      equ 0x8000
PT      equ 0x9000
HERE    equ 0x30000

; Variables, in the data segment.
rounds  equ 0
from    equ 4
operation equ 12
far_pointer equ 16
data_pointer equ 20
prefix  equ 24
; Segments, as the mode names them.
data    equ 32
extra   equ 34
text    equ 36
pixels  equ 38
patch   equ 40
; Arrays.
flags   equ 0x1000
left    equ 0x2000
right   equ 0x2200
product equ 0x2400
reals   equ 0x3000
words   equ 0x4000
ROW     equ 24          ; bytes of the table's

        bits 16
start:  cli
        cld
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        mov ax, 0xf000
        mov ds, ax
        mov ax, 0x3000
        mov es, ax
        xor si, si
        xor di, di
        mov cx, 0x8000
        rep movsw
        mov ax, 0x6000
        mov ss, ax
        mov sp, 0xfff0
        jmp 0x3000:real

; What runs elsewhere by a far call.
far_code:
        add ax, 1
        retf
far_end:

real:   mov ax, 0x7000
        mov es, ax
        push cs
        pop ds
        mov si, far_code
        xor di, di
        mov cx, far_end - far_code
        rep movsb
        xor ax, ax
        mov ds, ax
        mov word [0x60 * 4], on_int
        mov [0x60 * 4 + 2], cs
        mov word [0x61 * 4], on_service
        mov [0x61 * 4 + 2], cs
        mov ax, 0x4000
        mov ds, ax
        call mark
        mov si, real_name
        call measure_low
        jmp protect

; Of real and V86 mode, which SI names.
measure_low:
        mov bx, 0x4000
        mov cx, 0x5000
        mov dx, 0x7000
        mov di, 0x3000
        call name_segments
        mov word [text], 0xb800
        mov word [pixels], 0xa000
        jmp measure_all

; The mode's segments: BX data, CX extra, DX far code, DI its own code for writing.
name_segments:
        mov ds, bx
        mov [prefix], si
        mov [data], bx
        mov [extra], cx
        mov [patch], di
        mov word [far_pointer], 0
        mov [far_pointer + 2], dx
        mov word [data_pointer], words
        mov [data_pointer + 2], cx
        mov es, di
        mov [es:far_call.there + 3], dx
        ret

%include "tests/bench/dos_operations.inc"

; --- the frame --------------------------------------------------------------------------------------------------------
measure_all:
        mov si, table
.row:   push si
        call [cs:si + 6]
        mov ax, [cs:si + 2]
        mov [rounds], ax
        mov [operation], si
        mov bp, ax
        shr bp, 4
        inc bp
        call run
        rdtsc
        mov [from], eax
        mov [from + 4], edx
        mov bp, [rounds]
        call run
        rdtsc
        sub eax, [from]
        sbb edx, [from + 4]
        call report
        pop si
        add si, ROW
        cmp si, table_end
        jb .row
        ret
run:    mov es, [extra]
        mov si, [operation]
        jmp [cs:si]

; EDX:EAX ticks
report: push eax
        push edx
        mov si, nano
        call print
        mov si, [prefix]
        call print
        mov bx, [operation]
        lea si, [bx + 8]
        call print
        call space
        mov bx, [operation]
        movzx eax, word [cs:bx + 4]
        movzx ecx, word [rounds]
        mul ecx
        call hex
        call space
        pop eax
        call hex
        pop eax
        call hex
        jmp line
mark:   mov si, mark_text
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
put:    push dx
        push ax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, 0x3f8
        out dx, al
        pop dx
        ret
print:  mov al, [cs:si]
        inc si
        test al, al
        jz .end
        call put
        jmp print
.end:   ret
hex:    mov cx, 8
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

table:
; op NAME, ROUNDS, how often in a round, what must be done before
%macro op 3-4 nothing
%%row:  dw %1, %2, %3, %4
        db %str(%1)
        times ROW - ($ - %%row) db 0
%endmacro
        op sieve, 300, 1
        op copy_rep, 3000, 1
        op copy_loop, 500, 256
        op matrix, 40, 4096
        op near_call, 800, 64
        op far_call, 3000, 64
        op far_indirect, 3000, 64
        op int_iret, 600, 64
        op service, 600, 64
        op loop_empty, 3000, 256
        op load_es, 3000, 128
        op push_pop_ds, 1500, 64
        op far_data, 1500, 64
        op through_fs, 1000, 64
        op through_cs, 1000, 64
        op cli_sti, 500, 64
        op pushf_popf, 500, 64
        op x87, 500, 64
        op patching, 20, 16
        op text_write, 40, 2000, vga_text
        op text_scroll, 40, 1, vga_text
        op pixel_write, 40, 32000, vga_13h
        op pixel_xor, 20, 32000, vga_13h
        op pixel_copy, 40, 1, vga_13h
        op planar_write, 30, 1000, vga_12h
        op planar_fill, 10, 1, vga_12h
table_end:

; --- protected mode ---------------------------------------------------------------------------------------------------
protect: cli
        push cs
        pop ds
        o32 lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE0:HERE + main

protected_task:
        mov si, protected_name
        mov bx, DATA
        mov cx, EXTRA
        mov dx, FARCODE
        mov di, PATCH
        call name_segments
        mov word [text], TEXT
        mov word [pixels], PIXELS
        call measure_all
        int 0x70

v86_task:
        mov si, v86_name
        call measure_low
        call mark
        mov dx, 0x501
        xor ax, ax
        out dx, ax
        jmp $

        bits 32
; gate vector, selector, handler, type
%macro gate 4
        mov eax, %3
        mov [IDT + (%1) * 8], ax
        mov word [IDT + (%1) * 8 + 2], %2
        mov word [IDT + (%1) * 8 + 4], %4
        shr eax, 16
        mov [IDT + (%1) * 8 + 6], ax
%endmacro

main:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x68000
        o32 lidt [HERE + idtr]
        gate 0x60, CODE, on_int, 0xe600
        gate 0x61, CODE, on_service, 0xe600
        gate 0x70, CODE0, HERE + enter_v86, 0xee00
        mov edi, TSS_AT
        xor eax, eax
        mov ecx, (0x68 + 0x2004) / 4
        rep stosd
        mov dword [TSS_AT + 4], 0x68000
        mov dword [TSS_AT + 8], DATA0
        mov word [TSS_AT + 0x66], 0x68
        mov byte [TSS_AT + 0x68 + 0x2000], 0xff
        mov ax, LDT
        lldt ax
        mov ax, TSS
        ltr ax
        push dword STACK
        push dword 0xfff0
        push dword 0x3002
        push dword CODE
        push dword protected_task
        iretd

enter_v86:
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov edi, PT
        mov eax, 7
        mov ecx, 1024
.page:  stosd
        add eax, 4096
        loop .page
        mov edi, PD
        xor eax, eax
        mov ecx, 1024
        rep stosd
        mov dword [PD], PT + 7
        mov eax, PD
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        gate 0x60, CODE0, HERE + reflect_60, 0xee00
        gate 0x61, CODE0, HERE + reflect_61, 0xee00
        mov esp, 0x68000
        push dword 0
        push dword 0
        push dword 0
        push dword 0
        push dword 0x6000
        push dword 0xfff0
        push dword 0x23002
        push dword 0x3000
        push dword v86_task
        iretd

; The monitor lets the program's own vector have it.
reflect_60:
        push ebp
        mov ebp, 0x60 * 4
        jmp reflect
reflect_61:
        push ebp
        mov ebp, 0x61 * 4
reflect: push eax
        push ebx
        push ds
        mov eax, DATA0
        mov ds, eax
        sub word [esp + 28], 6
        movzx ebx, word [esp + 32]
        shl ebx, 4
        add ebx, [esp + 28]
        mov eax, [esp + 16]
        mov [ebx], ax
        mov eax, [esp + 20]
        mov [ebx + 2], ax
        mov eax, [esp + 24]
        mov [ebx + 4], ax
        mov eax, [ebp]
        mov [esp + 16], ax
        shr eax, 16
        mov [esp + 20], eax
        and word [esp + 24], ~0x300
        pop ds
        pop ebx
        pop eax
        pop ebp
        iretd

; descriptor base, limit, rights
%macro descriptor 3
        dw %2, (%1) & 0xffff
        db (%1) >> 16
        dw %3
        db 0
%endmacro
        align 8, db 0
gdt:    dq 0
        dq 0x00cf9b000000ffff, 0x00cf93000000ffff
        descriptor TSS_AT, 0x68 + 0x2000, 0x0089
        descriptor HERE + (ldt - $$), ldt_end - ldt - 1, 0x0082
gdtr:   dw $ - gdt - 1
        dd HERE + gdt
idtr:   dw 0x7ff
        dd IDT
        align 8, db 0
ldt:    descriptor HERE, 0xffff, 0x00fb
        descriptor 0x40000, 0xffff, 0x00f3
        descriptor 0x50000, 0xffff, 0x00f3
        descriptor 0x60000, 0xffff, 0x00f3
        descriptor 0x70000, far_end - far_code - 1, 0x00fb
        descriptor 0xb8000, 0x7fff, 0x00f3
        descriptor 0xa0000, 0xffff, 0x00f3
        descriptor HERE, 0xffff, 0x00f3
ldt_end:

nano:   db 'NANO ', 0
mark_text: db 'MARK ', 0
real_name: db 'real_', 0
protected_name: db 'protected_', 0
v86_name: db 'v86_', 0


        times 0xfff0 - ($ - $$) db 0xff
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - $$) db 0xff
