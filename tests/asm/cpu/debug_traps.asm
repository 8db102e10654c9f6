; Single steps, a code, a data and an I/O breakpoint, counted by one handler.
; expect: eax=00000006 ebx=00000001 ecx=00000001 edx=00000001
%include "pm.inc"

start32:
  gate 1, debug, INTERRUPT_GATE
  pushfd
  or dword [esp], 0x100
  popfd
  nop
  nop
  nop
  pushfd                 ; these three trap too, the POPFD that ends it included; the one that began it did not
  and dword [esp], ~0x100
  popfd
  mov eax, cr4
  or eax, 8
  mov cr4, eax
  mov eax, here
  mov dr0, eax
  mov eax, data
  mov dr1, eax
  mov eax, 0x80
  mov dr2, eax
  mov eax, 0x02d00402 | 0x28   ; DR0 code, DR1 write of 4, DR2 I/O of 1; all global
  mov dr7, eax
here:
  mov dword [data], 1
  mov ecx, [data]
  in al, 0x80
  xor eax, eax
  mov dr7, eax
  mov eax, [steps]
  mov ebx, [code_hits]
  mov ecx, [data_hits]
  mov edx, [port_hits]
  done

debug:
  push eax
  mov eax, dr6
  test eax, 0x4000
  jz .not_step
  inc dword [steps]
.not_step:
  test al, 1
  jz .not_code
  inc dword [code_hits]
  or dword [esp + 12], 0x10000 ; RF
.not_code:
  test al, 2
  jz .not_data
  inc dword [data_hits]
.not_data:
  test al, 4
  jz .not_port
  inc dword [port_hits]
.not_port:
  xor eax, eax
  mov dr6, eax
  pop eax
  iret
  align 4
steps: dd 0
code_hits: dd 0
data_hits: dd 0
port_hits: dd 0
data: dd 0
