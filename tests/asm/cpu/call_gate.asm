; Ring 3 calls ring 0 through a gate with two parameters, a hundred times.
; expect: eax=0000157c ebx=00000023 ecx=00000000 edx=0000bff8
%include "pm.inc"

GATE equ FREE | 3

start32:
  call_gate GATE, add_two, 0xec, 2
  gate 0x80, finish, TRAP_GATE3
  push dword DATA3
  push dword STACK3
  push dword 0x2
  push dword CODE3
  push dword user
  mov ax, DATA3
  mov ds, ax
  mov es, ax
  iret

user:
  push dword 0
  push dword 0
  mov ecx, 100
.more:
  push ecx
  push dword [five]
  call GATE:0
  loop .more
  mov edx, esp
  mov bx, ss
  movzx ebx, bx
  int 0x80
five: dd 5

add_two:
  mov eax, [esp + 8]
  add eax, [esp + 12]
  add [sum], eax
  retf 8

finish:
  mov eax, [sum]
  sub eax, 50
  done
sum: dd 0
