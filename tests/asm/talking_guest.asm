; A guest that says a lot, as a ROM of 64 KiB: the lines 0000 to ffff, 320 KiB in all, and then ends by isa-debug-exit
; with code 7, where that is. With a debug console (port E9h) all of it goes there in one instruction, otherwise to COM1
; as fast as that takes it, a line at a time into the FIFO. 7000h counts how often the guest has looked at COM1.
%include "flat_rom.inc"

    flat_rom
    mov edi, 0x100000
    xor ebx, ebx
line:
    mov ecx, 4
    mov edx, ebx
    shl edx, 16
digit:
    rol edx, 4
    mov al, dl
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das                             ; 0 to f in ASCII
    or al, 0x20
    stosb
    loop digit
    mov al, 10
    stosb
    inc bx
    jnz line

    mov esi, 0x100000
    in al, 0xe9
    cmp al, 0xe9
    jne serial
    mov ecx, 5 * 65536
    mov dx, 0xe9
    rep outsb
    jmp done

serial:
    mov dx, 0x3fa
    mov al, 1
    out dx, al
more:
    mov dx, 0x3fd
wait_for_room:
    inc dword [0x7000]
    in al, dx
    test al, 0x20
    jz wait_for_room
    mov dl, 0xf8
    mov ecx, 5
    rep outsb
    cmp esi, edi
    jb more
done:
    mov dx, 0x501
    mov ax, 3
    out dx, ax
count:
    inc dword [0x7000]
    jmp count

    end_of_rom
