; PAE with a 2 MiB page, a 4 KiB page that may not be executed, and the #PF that says so.
; expect: eax=00000011 ebx=00201000 ecx=13572468 edx=00000001
%include "pm.inc"

POINTERS equ 0x10000
DIRECTORY equ 0x11000
TABLE equ 0x12000

start32:
  mov edi, POINTERS
  mov ecx, 0x3000 / 4
  xor eax, eax
  rep stosd
  mov dword [POINTERS], DIRECTORY | 1
  mov dword [DIRECTORY], 0x000000e3      ; 2 MiB, identity
  mov dword [DIRECTORY + 8], TABLE | 3   ; the next 2 MiB by a table
  mov dword [TABLE], 0x30000 | 3
  mov dword [TABLE + 8], 0x31000 | 3
  mov dword [TABLE + 12], 0x80000000     ; NX
  mov ecx, 0xc0000080
  mov eax, 0x800
  xor edx, edx
  wrmsr
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, POINTERS
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  gate 14, page_fault, INTERRUPT_GATE
  mov byte [0x200000], 0xc3
  mov byte [0x201000], 0xc3
  mov dword [0x201004], 0x13572468
  mov edx, 0x200000
  call edx                                ; may be executed
  mov edx, 1
  mov ecx, [0x201004]
  mov ebx, 0x201000
  call ebx
  mov eax, 0xbad
  done

page_fault:
  pop eax
  mov ebx, cr2
  done
