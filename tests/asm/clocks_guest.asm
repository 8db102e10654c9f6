; A guest that tells the time by every clock of the PC, as a ROM of 64 KiB. It never halts: between looks it changes
; memory. To port E9h it says "H", the HPET's period in femtoseconds, and then for ever lines of hexadecimal numbers:
;   updates of the RTC, HPET, PM timer, PIT channel 0, local APIC timer, TSC (high and low)
; one each time the RTC has gone on by a second and about twenty a second besides.
HPET     equ 0xfed00000
LAPIC    equ 0xfee00000
PM_TIMER equ 0xb008
TWENTIETH equ 3579545 / 20

%include "flat_rom.inc"

    flat_rom

    enable_power_management

    mov al, 0x34                    ; PIT channel 0: rate generator, the whole 65536
    out 0x43, al
    xor eax, eax
    out 0x40, al
    out 0x40, al

    mov dword [HPET + 0x10], 1
    mov dword [LAPIC + 0xf0], 0x1ff
    mov dword [LAPIC + 0x3e0], 0x0b ; divide by one
    mov dword [LAPIC + 0x320], 0x30000
    mov dword [LAPIC + 0x380], 0xffffffff

    mov al, 0x8a                    ; RTC: 32768 Hz, no periodic interrupt; updates are seen as flags
    out 0x70, al
    mov al, 0x20
    out 0x71, al
    mov al, 0x8b
    out 0x70, al
    mov al, 0x12
    out 0x71, al
    call updated

    mov al, 'H'
    out 0xe9, al
    mov eax, [HPET + 4]
    call say
    mov al, 10
    out 0xe9, al

    xor ebp, ebp                    ; updates
    xor ebx, ebx                    ; PM timer at the last line
look:
    call updated
    jz .no_update
    inc ebp
    jmp .line
.no_update:
    mov dx, PM_TIMER
    in eax, dx
    sub eax, ebx
    and eax, 0xffffff
    cmp eax, TWENTIETH
    jb .work
.line:
    mov esi, [HPET + 0xf0]          ; first take all, then talk
    mov dx, PM_TIMER
    in eax, dx
    mov ebx, eax
    xor eax, eax
    out 0x43, al
    in al, 0x40
    mov ah, al
    in al, 0x40
    xchg al, ah
    movzx edi, ax
    mov ecx, [LAPIC + 0x390]
    rdtsc
    push eax
    push edx
    push ecx
    push edi
    push ebx
    push esi
    push ebp
    mov ecx, 7
.number:
    pop eax
    call say
    loop .number
    mov al, 10
    out 0xe9, al
.work:
    mov ecx, 4096
.change:
    add dword [0x8000 + ecx * 4], ecx
    loop .change
    jmp look

; Not zero: the RTC has gone on since the last call.
updated:
    mov al, 0x8c
    out 0x70, al
    in al, 0x71
    test al, 0x10
    ret

; " ", and EAX in hexadecimal.
say:
    push ecx
    mov edx, eax
    mov al, ' '
    out 0xe9, al
    mov ecx, 8
.digit:
    rol edx, 4
    mov al, dl
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    out 0xe9, al
    loop .digit
    pop ecx
    ret

    end_of_rom
