#include "translator/device_access.h"

#include "cpu/interp/operands.h"

namespace umbra {
namespace {

using Device = PhysicalMemory::Device;

template <class T>
Device operand(Cpu& cpu, const Insn& insn, Access access) {
  return cpu.device_at(interp::segment(insn), interp::effective_address(cpu.s, insn), sizeof(T), access);
}

template <class T>
bool load(Cpu& cpu, const Insn& insn) {
  const Device from = operand<T>(cpu, insn, Access::kRead);
  if (from.target == nullptr) return false;
  interp::set_reg<T>(cpu.s, insn.operands[0].reg, static_cast<T>(from.target->read(from.offset, sizeof(T))));
  return true;
}

template <class T>
bool store(Cpu& cpu, const Insn& insn) {
  const Device to = operand<T>(cpu, insn, Access::kWrite);
  if (to.target == nullptr) return false;
  const Operand& value = insn.operands[1];
  to.target->write(to.offset,
                   value.kind == OperandKind::kImm ? static_cast<T>(insn.imm) : interp::reg<T>(cpu.s, value.reg),
                   sizeof(T));
  return true;
}

void advance(CpuState& s, const Insn& insn, unsigned index, u32 size) {
  const u32 by = (s.eflags & flag::kDf) != 0 ? 0 - size : size, mask = insn.address_mask;
  s.gpr[index] = (s.r32(index) & ~mask) | ((s.r32(index) + by) & mask);
}

template <class T>
bool load_string(Cpu& cpu, const Insn& insn) {
  CpuState& s = cpu.s;
  const Device from = cpu.device_at(interp::segment(insn), s.r32(kEsi) & insn.address_mask, sizeof(T), Access::kRead);
  if (from.target == nullptr) return false;
  interp::set_reg<T>(s, kEax, static_cast<T>(from.target->read(from.offset, sizeof(T))));
  advance(s, insn, kEsi, sizeof(T));
  return true;
}

template <class T>
bool store_string(Cpu& cpu, const Insn& insn) {
  CpuState& s = cpu.s;
  const Device to = cpu.device_at(kEs, s.r32(kEdi) & insn.address_mask, sizeof(T), Access::kWrite);
  if (to.target == nullptr) return false;
  to.target->write(to.offset, interp::reg<T>(s, kEax), sizeof(T));
  advance(s, insn, kEdi, sizeof(T));
  return true;
}

// Both ends must be devices: what copies planes.
template <class T>
bool move_string(Cpu& cpu, const Insn& insn) {
  CpuState& s = cpu.s;
  const Device from = cpu.device_at(interp::segment(insn), s.r32(kEsi) & insn.address_mask, sizeof(T), Access::kRead);
  if (from.target == nullptr) return false;
  const Device to = cpu.device_at(kEs, s.r32(kEdi) & insn.address_mask, sizeof(T), Access::kWrite);
  if (to.target == nullptr) return false;
  to.target->write(to.offset, static_cast<T>(from.target->read(from.offset, sizeof(T))), sizeof(T));
  advance(s, insn, kEsi, sizeof(T));
  advance(s, insn, kEdi, sizeof(T));
  return true;
}

DeviceAccess by_size(unsigned size, DeviceAccess byte, DeviceAccess word, DeviceAccess dword) {
  return size == 1 ? byte : size == 2 ? word : dword;
}

DeviceAccess plain_move(const Insn& insn) {
  const Operand &to = insn.operands[0], &from = insn.operands[1];
  const bool loads = to.kind == OperandKind::kReg && from.kind == OperandKind::kMem;
  const bool stores =
      to.kind == OperandKind::kMem && (from.kind == OperandKind::kReg || from.kind == OperandKind::kImm);
  if (loads) return by_size(to.size, load<u8>, load<u16>, load<u32>);
  return stores ? by_size(to.size, store<u8>, store<u16>, store<u32>) : nullptr;
}

}  // namespace

DeviceAccess device_access_for(const Insn& insn) {
  if (insn.has(prefix::kLock | prefix::kRep | prefix::kRepne)) return nullptr;
  switch (insn.op) {
    case Op::kMov:
      return plain_move(insn);
    case Op::kLodsb:
      return load_string<u8>;
    case Op::kLodsw:
      return load_string<u16>;
    case Op::kLodsd:
      return load_string<u32>;
    case Op::kStosb:
      return store_string<u8>;
    case Op::kStosw:
      return store_string<u16>;
    case Op::kStosd:
      return store_string<u32>;
    case Op::kMovsb:
      return move_string<u8>;
    case Op::kMovsw:
      return move_string<u16>;
    case Op::kMovsd:
      return move_string<u32>;
    default:
      return nullptr;
  }
}

}  // namespace umbra
