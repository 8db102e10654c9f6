; The option ROM behind -kernel. SeaBIOS finds it as "genroms/directboot.rom" and boots its entry vector. It asks
; fw_cfg's DMA for each piece of the kernel, by the table that the machine appends, and jumps to the kernel: Linux in
; real mode, Multiboot in flat protected mode. The table, after the label `table`:
;   dd count; count times a fw_cfg DMA descriptor of 16 bytes (big-endian: control, length, address)
; and before it, at fixed offsets that direct_boot.cpp fills in:
;   40h dd entry        Linux: the real-mode segment of the setup code; Multiboot: the entry point
;   44h dd information  Linux: 0; Multiboot: the address of the information structure
        bits 16
        org 0

FW_CFG_DMA_HIGH equ 514h
FW_CFG_DMA_LOW  equ 518h
STACK_OFFSET    equ 0e000h                      ; under the command line, as the setup header's heap_end_ptr says
MULTIBOOT_MAGIC equ 2badb002h

        db 55h, 0aah
        db 0                                    ; length in 512-byte units: filled in
        retf                                    ; nothing to do at initialisation
        times 1ah - ($ - $$) db 0
        dw pnp
        times 40h - ($ - $$) db 0
entry:  dd 0
information: dd 0

pnp:    db "$PnP", 1, 2                         ; revision, length / 16
        dw 0                                    ; no further header
        db 0
        db 0                                    ; checksum: filled in
        dd 0
        dw 0, product
        db 2, 0, 0                              ; a storage controller that
        db 0                                    ; boots by itself
        dw 0, 0
        dw boot                                 ; the boot entry vector
        dw 0, 0
product: db "Umbra direct boot", 0

boot:   cli
        cld
        xor ebx, ebx
        mov bx, cs
        mov ds, bx
        shl ebx, 4                              ; where this ROM is, for DMA
        mov esi, ebx
        add ebx, table + 4
        mov cx, [table]
.next:  xor eax, eax
        mov dx, FW_CFG_DMA_HIGH
        out dx, eax
        mov eax, ebx
        xchg al, ah                             ; bswap is not there before the 486
        ror eax, 16
        xchg al, ah
        mov dx, FW_CFG_DMA_LOW
        out dx, eax
        add ebx, 16
        loop .next

        mov ebp, [information]
        test ebp, ebp
        mov eax, [entry]
        jnz multiboot

        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, STACK_OFFSET
        add ax, 20h                             ; the entry lies 512 bytes into the setup code
        push ax
        push word 0
        xor eax, eax
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        xor esi, esi
        xor edi, edi
        xor ebp, ebp
        retf

multiboot:
        mov edi, eax
        in al, 92h
        or al, 2
        and al, 0feh
        out 92h, al                             ; A20
        lea eax, [esi + gdt]
        push eax
        push word gdt_end - gdt - 1
        mov bx, sp
        o32 lgdt [ss:bx]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        lea eax, [esi + flat]
        push dword 8
        push eax
        o32 retf
        bits 32
flat:   mov ax, 10h
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, 7c00h
        mov eax, MULTIBOOT_MAGIC
        mov ebx, ebp
        jmp edi

        align 8
gdt:    dq 0
        dq 00cf9a000000ffffh
        dq 00cf92000000ffffh
gdt_end:
        align 4
table:                                          ; the machine appends it
