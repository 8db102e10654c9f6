; Paging on, an alias, a read-only page under WP, and a #PF handler that gives pages on demand.
; expect: eax=00000005 ebx=00402000 ecx=11223344 edx=00000003 esi=00000000
%include "pm.inc"

DIRECTORY equ 0x10000
TABLE equ 0x11000
TABLE2 equ 0x12000
FRAME equ 0x20000

start32:
  mov edi, DIRECTORY
  mov ecx, 0x3000 / 4
  xor eax, eax
  rep stosd
  mov dword [DIRECTORY], TABLE | 7
  mov dword [DIRECTORY + 4], TABLE2 | 7
  mov edi, TABLE
  mov eax, 7
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

  mov dword [0x30000], 0x11223344
  mov dword [TABLE + 0x31 * 4], 0x30000 | 7 ; an alias of it
  mov eax, 0x31000
  invlpg [eax]
  mov ecx, [0x31000]

  mov dword [0x400000], 0x5a5a5a5a          ; on demand: one write
  mov dword [0x400ffe], 0xaabbccdd          ; the next page: a write across
  mov ebp, [0x402000]                       ; a read
  mov dword [TABLE2 + 8], FRAME + 0x2000 | 5
  invlpg [0x402000]
  mov dword [0x402000], 1                   ; a write to what is read-only now
  mov esi, [0x401000]
  sub esi, 0xaabb
  mov ebx, [last]
  mov edx, [errors]
  mov eax, [count]
  inc eax
  done

page_fault:
  push eax
  push edx
  inc dword [count]
  mov eax, [esp + 8]
  mov [errors], eax
  mov eax, cr2
  mov [last], eax
  mov edx, eax
  shr edx, 12
  and edx, 0x3ff
  mov eax, edx
  shl eax, 12
  add eax, FRAME | 7
  mov [TABLE2 + edx * 4], eax
  mov eax, cr2
  invlpg [eax]
  pop edx
  pop eax
  add esp, 4
  iret
count: dd 0
errors: dd 0
last: dd 0
