; Segments from an LDT: a base, an expand-down stack, and the faults at their edges.
; expect: eax=00000002 ebx=12345678 ecx=0000fffc edx=00000000
%include "pm.inc"

LDT equ FREE
LDT_AT equ 0x4000

start32:
  mov dword [gdt + LDT], 0x4000001f
  mov dword [gdt + LDT + 4], 0x00008200
  mov dword [LDT_AT + 8], 0x0000ffff     ; base 20000h, 64 KiB
  mov dword [LDT_AT + 12], 0x00409202
  mov dword [LDT_AT + 16], 0x00000fff    ; expand-down above fffh, 16 bits, base 30000h
  mov dword [LDT_AT + 20], 0x00009603
  mov ax, LDT
  lldt ax
  gate 12, stack_fault, INTERRUPT_GATE
  gate 13, protection, INTERRUPT_GATE
  mov ax, 0x0c
  mov fs, ax
  mov dword [fs:0x10], 0x12345678
  mov ebx, [0x20010]
first:
  mov eax, [fs:0xfffd]                   ; one byte too far
after_first:
  mov ax, 0x14
  mov gs, ax
second:
  mov eax, [gs:0xffc]                    ; below
after_second:
  mov dword [gs:0x1000], 1
  mov ax, 0x14
  mov ss, ax
  mov esp, 0
  push dword 5                           ; wraps to fffch
  movzx ecx, sp
  mov ax, DATA0
  mov ss, ax
  mov esp, STACK0
  mov edx, [0x3fffc]
  sub edx, 5
  mov eax, [faults]
  done

stack_fault:
  mov eax, 0xbad0000c
  done
protection:
  inc dword [faults]
  add dword [esp + 4], 6
  cmp dword [esp + 4], after_first
  je .go
  mov dword [esp + 4], after_second
.go:
  add esp, 4
  iret
faults: dd 0
