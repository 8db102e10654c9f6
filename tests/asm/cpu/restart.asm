; REP MOVS, PUSHA and a locked operation across pages that appear one fault at a time.
; expect: eax=00000000 ebx=00000006 ecx=00000000 edx=a5a5a5a6
%include "pm.inc"

DIRECTORY equ 0x10000
TABLE equ 0x11000
TABLE2 equ 0x12000

start32:
  mov edi, DIRECTORY
  mov ecx, 0x3000 / 4
  xor eax, eax
  rep stosd
  mov dword [DIRECTORY], TABLE | 3
  mov dword [DIRECTORY + 4], TABLE2 | 3
  mov edi, TABLE
  mov eax, 3
fill:
  stosd
  add eax, 0x1000
  cmp edi, TABLE + 0x1000
  jb fill
  mov eax, DIRECTORY
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax
  gate 14, page_fault, INTERRUPT_GATE

  mov edi, 0x50000                     ; a pattern
  mov ecx, 0x2000 / 4
  mov eax, 0xa5a5a5a5
  rep stosd
  mov esi, 0x50002
  mov edi, 0x400004
  mov ecx, 0x1800 / 4
  rep movsd                            ; two pages appear
  mov esi, 0x50002
  mov edi, 0x400004
  mov ecx, 0x1800 / 4
  repe cmpsd
  mov edx, 1
  lock xadd [0x402ffe], edx            ; two more
  lock add dword [0x400800], 1
  mov edx, [0x400800]
  std
  mov esi, 0x51000
  mov edi, 0x405004
  mov ecx, 0x600
  rep movsd                            ; downwards: two, the third is there
  cld
  mov ebx, [faults]
  mov eax, ecx
  done

page_fault:
  push eax
  push edx
  inc dword [faults]
  mov edx, cr2
  shr edx, 12
  and edx, 0x3ff
  mov eax, edx
  shl eax, 12
  add eax, 0x60000 | 3
  mov [TABLE2 + edx * 4], eax
  mov eax, cr2
  invlpg [eax]
  pop edx
  pop eax
  add esp, 4
  iret
faults: dd 0
