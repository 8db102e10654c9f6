; Into protected mode, 16-bit code there, back to real mode, and in again.
; expect: eax=00000011 ebx=0000beef ecx=00000002 edx=12345678
%include "pm.inc"

start32:
  xor ecx, ecx
again:
  inc ecx
  cmp ecx, 2
  je finish
  jmp CODE16:leave16

  bits 16
leave16:
  mov ax, DATA16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:real
real:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x6800
  push word 0xbeef
  pop bx
  mov edx, [value]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword CODE0:back
value:
  dd 0x12345678

  bits 32
back:
  mov ax, DATA0
  mov ds, ax
  mov ss, ax
  mov esp, STACK0
  movzx ebx, bx
  jmp again

finish:
  smsw eax
  and eax, 0x11
  done
