; Real mode: nested INTs, single steps, a divide error and BOUND's.
; expect: eax=00000003 ebx=00000001 ecx=00000001 edx=00000001
  org 0x8000
  bits 16
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov word [0x21 * 4], chained
  mov [0x21 * 4 + 2], ax
  mov word [0x22 * 4], last
  mov [0x22 * 4 + 2], ax
  mov word [1 * 4], step
  mov [1 * 4 + 2], ax
  mov word [0], divide
  mov [2], ax
  mov word [5 * 4], bound_error
  mov [5 * 4 + 2], ax
  xor eax, eax
  xor ebx, ebx
  xor ecx, ecx
  xor edx, edx
  int 0x21
  pushf
  pop bp
  or bp, 0x100
  push bp
  popf
  nop                  ; BX = 1
  and bp, 0xfeff
  push bp              ; 2, 3
  popf                 ; 4: traps still
  sub bx, 3
  push ax
  mov ax, 1
  xor si, si
  div si               ; CX = 1; the handler skips it
  pop ax
  xor di, di
  bound di, [limits]
  cli
  hlt
limits: dw 1, 5
chained:
  inc ax
  int 0x22
  inc ax
  iret
last:
  inc ax
  iret
step:
  inc bx
  iret
divide:
  inc cx
  push bp
  mov bp, sp
  add word [bp + 2], 2
  pop bp
  iret
bound_error:
  inc dx
  push bp
  mov bp, sp
  add word [bp + 2], 4
  pop bp
  iret
