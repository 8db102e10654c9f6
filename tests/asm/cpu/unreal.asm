; Real mode that keeps 4 GiB limits: data above 1 MiB by 32-bit addresses.
; expect: eax=cafebabe ebx=00000010 ecx=cafebabe
%include "pm.inc"

start32:
  mov dword [0x200000], 0xcafebabe
  jmp CODE16:leave16

  bits 16
leave16:
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:real
real:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov esi, 0x200000
  a32 lodsd
  mov bx, 0x1000
  mov fs, bx
  mov edi, 0x1f0000
  mov ecx, [fs:edi]
  mov ebx, cr0
  and ebx, 0x11
  done
