; Ring 3 calls ring 0 by SYSENTER, which returns by SYSEXIT, a hundred times.
; expect: eax=000013ba ebx=0000001b ecx=00000000
%include "pm.inc"

start32:
  mov ecx, 0x174
  mov eax, CODE0
  xor edx, edx
  wrmsr
  inc ecx
  mov eax, STACK0
  wrmsr
  inc ecx
  mov eax, service
  wrmsr
  gate 0x80, finish, TRAP_GATE3
  push dword DATA3
  push dword STACK3
  push dword 0x2
  push dword CODE3
  push dword user
  iret

user:
  mov ax, DATA3
  mov ds, ax
  xor ebx, ebx
  mov edi, 100
.more:
  mov ebp, esp
  mov esi, .back
  sysenter
.back:
  dec edi
  jnz .more
  mov bx, cs
  int 0x80

service:
  add [sum], edi
  mov edx, esi
  mov ecx, ebp
  sysexit

finish:
  xor ecx, ecx
  mov eax, [sum]
  done
sum: dd 0
