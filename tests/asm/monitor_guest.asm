; A guest for the monitor's tests, as a ROM of 64 KiB: 32-bit code with paging that enables keyboard, mouse and power
; management and then notes for ever what it sees. In memory:
;   3000h  the bytes "monitor", 0, then dwords 1, -2, 3
;   5000h  the bytes the keyboard has sent, 6000h the mouse's; 5ff0h and 5ff4h say how many
;   7000h  PM1 status, or-ed together; 7004h how often it has come to that since power-on
; Linear memory: 0 to 8000h as it is (page 3 read-only, page 4 for users too), the ROM at F0000h, C0000000h one page of 4 MiB.
%include "flat_rom.inc"

    flat_rom
    mov dword [0x3000], 'moni'
    mov dword [0x3004], 'tor'
    mov dword [0x3008], 1
    mov dword [0x300c], -2
    mov dword [0x3010], 3
    xor eax, eax
    mov [0x5ff0], eax
    mov [0x5ff4], eax
    mov [0x7000], eax

    mov edi, 0x1000                 ; page directory and page table
    mov ecx, 2048
    rep stosd
    mov dword [0x1000], 0x2007
    mov dword [0x1000 + 0x300 * 4], 0x83
    mov ecx, 8
    mov eax, 0x0003
    mov edi, 0x2000
.page:
    stosd
    add eax, 0x1000
    loop .page
    mov dword [0x2000 + 3 * 4], 0x3001
    mov dword [0x2000 + 4 * 4], 0x4007
    mov ecx, 16
    mov eax, 0xf0001
    mov edi, 0x2000 + 0xf0 * 4
.rom:
    stosd
    add eax, 0x1000
    loop .rom
    mov eax, 0x1000
    mov cr3, eax
    mov eax, cr4
    or al, 0x10
    mov cr4, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax

    enable_power_management
    mov dx, 0xb002                  ; the power button's event
    mov ax, 0x100
    out dx, ax

    mov al, 0xa8                    ; 8042: both ports, translation, no interrupts
    call command
    mov al, 0x60
    call command
    mov al, 0x40
    call data
    mov al, 0xd4
    call command
    mov al, 0xf4                    ; the mouse shall report
    call data
    mov al, 0xf4
    call data
    inc dword [0x7004]

watch:
    mov dx, 0xb000
    in ax, dx
    or [0x7000], ax
    in al, 0x64
    test al, 1
    jz watch
    mov ah, al
    in al, 0x60
    cmp al, 0xfa                    ; acknowledged
    je watch
    test ah, 0x20
    jnz .mouse
    mov ebx, [0x5ff0]
    mov [0x5000 + ebx], al
    inc bl
    mov [0x5ff0], bl
    jmp watch
.mouse:
    mov ebx, [0x5ff4]
    mov [0x6000 + ebx], al
    inc bl
    mov [0x5ff4], bl
    jmp watch

command:
    call ready
    out 0x64, al
    ret
data:
    call ready
    out 0x60, al
    ret
ready:
    push eax
.full:
    in al, 0x64
    test al, 2
    jnz .full
    pop eax
    ret

    end_of_rom
