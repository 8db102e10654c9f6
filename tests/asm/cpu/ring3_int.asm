; Ring 3 calls ring 0 by INT 80h a hundred times; a privileged instruction there is #GP.
; expect: eax=00001388 ebx=0000001b ecx=00000000 edx=00000001
%include "pm.inc"

start32:
  gate 0x80, service, TRAP_GATE3
  gate 13, protection, INTERRUPT_GATE
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
  xor ebx, ebx
  mov ecx, 100
.more:
  mov eax, ecx
  int 0x80
  loop .more
  mov bx, cs
  cli
forbidden_next:
  int 0x81

service:
  add [sum], eax
  iret

protection:
  cmp dword [esp + 4], forbidden_next - 1
  sete dl
  movzx edx, dl
  mov eax, [sum]
  sub eax, 5050 - 5000
  done
sum: dd 0
