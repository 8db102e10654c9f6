; Two tasks call one another through a gate and by JMP; a third is a #DE handler.
; expect: eax=0000000a ebx=00000005 ecx=00000001 edx=00000000
%include "pm.inc"

%macro task 3 ; at, entry, stack
  mov edi, %1
  mov ecx, 0x68 / 4
  xor eax, eax
  rep stosd
  mov dword [%1 + 0x20], %2
  mov dword [%1 + 0x24], 2
  mov dword [%1 + 0x38], %3
  mov dword [%1 + 0x48], DATA0
  mov dword [%1 + 0x4c], CODE0
  mov dword [%1 + 0x50], DATA0
  mov dword [%1 + 0x54], DATA0
%endmacro

start32:
  task TSS1_AT, worker, 0xa000
  task TSS2_AT, divide_error, 0xa800
  task_gate 0, TSS2
  mov ecx, 5
ping:
  call TSS1:0          ; the worker adds two and returns
  loop ping
  xor edx, edx
  mov eax, 1
  mov ebx, 0
fault:
  div ebx              ; the third task repairs EBX in our TSS
  mov eax, [sum]
  mov ebx, [rounds]
  mov ecx, [divisions]
  done

worker:
  add dword [sum], 2
  inc dword [rounds]
  iret
  jmp worker

divide_error:
  inc dword [divisions]
  mov dword [TSS0_AT + 0x34], 1
  iret
  jmp divide_error
sum: dd 0
rounds: dd 0
divisions: dd 0
