; What a 386 does and later processors do not, as SingleStepTests 80386 and test386 saw it on hardware: a letter each.
; Often enough that every engine translates it.
; model: 386
; expect: ebx=00000000
; output: "ABCDEFGHIJKLMNOP"
  org 0x8000
  bits 16

%macro letter 1              ; after a comparison that must have come out equal
  jne short %%wrong
  cmp ebx, 1
  jne short %%wrong
  mov al, %1
  out 0xe9, al
%%wrong:
%endmacro

; The instruction, and whether it leaves CF as given.
%macro carry 2+
  stc
%if %1
  clc
%endif
  %2
  sbb dx, dx
  cmp dx, -%1
%endmacro

  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ebx, 200
again:
  ; shifts of a byte by more than its bits
  mov cl, 16
  mov al, 0x81
  carry 1, shl al, cl
  letter 'A'
  mov al, 0x81
  carry 0, shl al, 17
  letter 'B'
  mov byte [data], 0x80
  carry 1, shr byte [data], 24
  letter 'C'
  mov ax, 0x8001
  carry 1, shl ax, 16
  letter 'D'

  ; double shifts by more than 16: the source turns
  mov cl, 20
  mov ax, 0x1111
  mov dx, 0x8234
  shld ax, dx, cl
  cmp ax, 0x2348
  letter 'E'
  mov word [data], 0x1111
  mov dx, 0x8234
  shrd [data], dx, 20
  cmp word [data], 0x4823
  letter 'F'

  ; POPAD on a 16-bit stack takes the upper half of ESP from memory
  push ebx
  mov eax, 0x77770000
  mov [saved], esp
  push eax
  push eax
  push eax
  push ebx
  push dword 0x12345678
  push dword 0
  push dword 0
  push dword 0
  popad
  mov edx, esp
  mov esp, [saved]
  pop ebx
  shr edx, 16
  cmp dx, 0x1234
  letter 'G'

  ; a scale without an index is the base's
  mov esi, 0x1000
  db 0x67, 0x66, 0x8d, 0x94, 0xa6, 0x10, 0, 0, 0   ; lea edx, [esi*4 without index + 10h]
  cmp edx, 0x4010
  letter 'H'
  mov dword [0x2010], 0x5a5a5a5a
  xor edx, edx
  db 0x67, 0x66, 0x8b, 0x54, 0x66, 0x10            ; mov edx, [esi*2 without index + 10h]
  cmp edx, 0x5a5a5a5a
  letter 'I'
  db 0x67, 0x66, 0x8d, 0x14, 0x26                  ; lea edx, [esi]: no scale, nothing else
  cmp edx, esi
  letter 'J'

  ; a negative quotient of 8 bits that is too large by less than 128 is not noticed
  mov ax, -(128 * (2 + 128) + 1)
  mov dl, 2
  idiv dl
  cmp ax, 0xff80
  letter 'K'
  mov word [0], divided
  mov word [2], 0
  xor di, di
  mov ax, -(128 * (2 + 128) + 2)
  idiv dl
  cmp di, 1
  letter 'L'

  ; the flags that AAM leaves when it cannot divide
  mov word [0], unpacked
  xor cx, cx
  mov ax, 0x0001
  aam 0
  and cl, 0xc4
  cmp cx, 0x0044
  letter 'M'

  ; a segment register pushed as a dword is a word with room above
  mov dword [0x6000], 0xdeadbeef
  mov [saved], esp
  mov sp, 0x6004
  o32 push es
  mov esp, [saved]
  cmp dword [0x6000], 0xdead0000
  letter 'N'

  ; bits of CR0 that are not there read as ones, and none of them is a cache's
  mov eax, cr0
  and eax, ~0x5fffffe0
  mov cr0, eax
  mov eax, cr0
  mov esi, eax
  cmp eax, 0x7ffffff0
  je even
  cmp eax, 0x7fffffe0
even:
  letter 'O'
  smsw dx
  cmp dx, si
  letter 'P'

  dec ebx
  jnz again
  hlt

divided:                      ; past the two bytes of IDIV
  inc di
  push bp
  mov bp, sp
  add word [bp + 2], 2
  pop bp
  iret
unpacked:
  push bp
  mov bp, sp
  add word [bp + 2], 2
  mov cx, [bp + 6]
  mov ch, 0
  pop bp
  iret

data: dd 0
saved: dd 0
