; A boot sector that walks through video modes with int 10h: sets each, writes a line of text and a diagonal of
; pixels, and reports on port 402h (1: look now, 3: the BIOS refused; 2: done). A key goes on to the next.
; The diagonal starts at (20, 60) in colour 5.
bits 16
org 0x7c00

        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov si, modes
next:   lodsw
        cmp ax, -1
        je done
        push si
        mov bx, ax
        cmp ah, 0
        jne vbe
        int 0x10
        jmp draw
vbe:    mov ax, 0x4f02
        int 0x10
        cmp ax, 0x004f
        je draw
        mov al, 3
        call report
        jmp shown
draw:   mov si, text
putc:   lodsb
        test al, al
        jz drawn
        mov ah, 0x0e
        mov bx, 0x000f
        int 0x10
        jmp putc
drawn:  mov ah, 0x0f            ; text modes have no pixels
        int 0x10
        cmp al, 4
        jb look
        mov cx, 20
pixel:  mov dx, cx
        add dx, 40
        mov al, cl
        shr al, 2
        mov ah, 0x0c
        mov bh, 0
        push cx
        int 0x10
        pop cx
        inc cx
        cmp cx, 150
        jb pixel
look:   mov al, 1
        call report
        mov ah, 0
        int 0x16
shown:  pop si
        jmp next
done:   mov al, 2
        call report
halt:   hlt
        jmp halt
report: mov dx, 0x402
        out dx, al
        ret

text:   db "Set by the VGA BIOS", 0
modes:  dw 0x01, 0x03, 0x04, 0x06, 0x0d, 0x0e, 0x10, 0x11, 0x12, 0x13
        dw 0x101, 0x102, 0x104, 0x105, 0x4111, 0x4115, 0x4118, 0x4144, 0x03, -1

        times 510 - ($ - $$) db 0
        dw 0xaa55
