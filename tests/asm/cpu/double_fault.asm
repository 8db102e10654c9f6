; A page fault on a stack that is not there becomes a double fault, which has a task of its own.
; expect: eax=00000000 ebx=00005ffc ecx=00000028
%include "pm.inc"

DIRECTORY equ 0x10000
TABLE equ 0x11000

start32:
  mov edi, DIRECTORY
  mov ecx, 0x400
  xor eax, eax
  rep stosd
  mov dword [DIRECTORY], TABLE | 3
  mov edi, TABLE
  mov eax, 3
fill:
  stosd
  add eax, 0x1000
  cmp edi, TABLE + 0x1000
  jb fill
  mov dword [TABLE + 5 * 4], 0
  mov eax, DIRECTORY
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov edi, TSS1_AT
  mov ecx, 0x68 / 4
  xor eax, eax
  rep stosd
  mov dword [TSS1_AT + 0x1c], DIRECTORY
  mov dword [TSS1_AT + 0x20], double_fault
  mov dword [TSS1_AT + 0x24], 2
  mov dword [TSS1_AT + 0x38], 0xa000
  mov dword [TSS1_AT + 0x48], DATA0
  mov dword [TSS1_AT + 0x4c], CODE0
  mov dword [TSS1_AT + 0x50], DATA0
  mov dword [TSS1_AT + 0x54], DATA0
  task_gate 8, TSS1
  mov esp, 0x6000
  push eax
  mov eax, 0xbad
  done

double_fault:
  pop eax
  mov ebx, cr2
  movzx ecx, word [TSS1_AT]
  done
