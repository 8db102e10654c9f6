; A V86 program and its monitor: INT, CLI, STI, PUSHF and OUT are simulated, HLT ends it.
; expect: eax=00000006 ebx=00001234 ecx=00000202 edx=000000e9
; output: "V"
%include "pm.inc"

V86_CS equ 0x900

start32:
  gate 13, protection, INTERRUPT_GATE
  xor eax, eax
  push eax            ; GS FS DS ES
  push eax
  push eax
  push eax
  push dword 0xb00    ; SS
  push dword 0x1000   ; ESP
  push dword 0x20202  ; VM, IF, IOPL 0
  push dword V86_CS
  push dword program - 0x9000
  iret

; EBP: the frame: [0] registers, then error code, EIP, CS, EFLAGS, ESP, SS
protection:
  pushad
  mov ebp, esp
  mov ax, DATA0
  mov ds, ax
  inc dword [count]
  movzx esi, word [ebp + 40]
  shl esi, 4
  add esi, [ebp + 36]
  movzx eax, byte [esi]
  cmp al, 0xcd
  je simulate_int
  cmp al, 0xfa
  je simulate_cli
  cmp al, 0xfb
  je simulate_sti
  cmp al, 0x9c
  je simulate_pushf
  cmp al, 0xee
  je simulate_out
  cmp al, 0xf4
  je finish
  popad
  mov eax, 0xbad0000d
  done

simulate_int:                    ; FLAGS CS IP on its stack, then the vector
  movzx edi, byte [esi + 1]
  sub word [ebp + 48], 6
  movzx edx, word [ebp + 52]
  shl edx, 4
  movzx ecx, word [ebp + 48]
  add edx, ecx
  mov eax, [ebp + 36]
  add eax, 2
  mov [edx], ax
  mov eax, [ebp + 40]
  mov [edx + 2], ax
  mov eax, [ebp + 44]
  mov [edx + 4], ax
  movzx eax, word [edi * 4]
  mov [ebp + 36], eax
  movzx eax, word [edi * 4 + 2]
  mov [ebp + 40], eax
  jmp resume
simulate_cli:
  and dword [ebp + 44], ~0x200
  jmp next
simulate_sti:
  or dword [ebp + 44], 0x200
  jmp next
simulate_pushf:
  sub word [ebp + 48], 2
  movzx edx, word [ebp + 52]
  shl edx, 4
  movzx ecx, word [ebp + 48]
  mov eax, [ebp + 44]
  mov [edx + ecx], ax
  jmp next
simulate_out:
  mov edx, [ebp + 20]
  mov eax, [ebp + 28]
  out dx, al
next:
  inc dword [ebp + 36]
resume:
  popad
  add esp, 4
  iret

finish:
  popad
  mov eax, [count]
  done
count: dd 0

  times 0x9800 - 0x8000 - ($ - $$) db 0x90
  bits 16
program:                         ; at 0900:0800
  mov word [0x21 * 4], service - 0x9000
  mov word [0x21 * 4 + 2], V86_CS
  int 0x21
  cli
  sti
  pushf
  pop cx
  movzx ecx, cx
  mov dx, 0xe9
  mov al, 'V'
  out dx, al
  hlt
service:
  mov bx, 0x1234
  movzx ebx, bx
  retf 2
