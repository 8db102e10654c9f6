// The monitor's looks into guest memory and ports: x, xp, print, memsave, pmemsave, i, o, gva2gpa, sum.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cpu/base/log.h"
#include "frontend/monitor.h"

namespace umbra {
namespace {

const char* const kUnreadable = " Cannot access memory\n";

// As the processor sees it, video memory behind its registers included; DMA does not reach devices.
void read_physical(PhysicalMemory& memory, u64 from, u8* to, u32 size) {
  for (u32 done = 0; done < size;) {
    const Phys at(from + done);
    const u32 here = std::min<u32>(size - done, kPageSize - page_offset(at));
    if (memory.host(at) != nullptr)
      memory.read(at, to + done, here);
    else
      for (u32 i = 0; i < here; ++i) to[done + i] = static_cast<u8>(memory.load(Phys(at.value + i), 1));
    done += here;
  }
}

}  // namespace

// False where a linear address is not mapped. Devices are not touched: what is not RAM or ROM reads through the bus
// only for xp and pmemsave, which is how a person looks at video memory.
bool Monitor::read_guest(u64 address, bool physical, u8* to, u32 size) {
  Cpu& cpu = *links_.cpu;
  PhysicalMemory& memory = cpu.mmu.memory();
  if (physical) {
    read_physical(memory, address, to, size);
    return true;
  }
  for (u32 i = 0; i < size; ++i) {
    const Walk w = umbra::probe(memory, cpu.mmu.state(), Linear(static_cast<u32>(address + i)));
    if (!w.ok) return false;
    to[i] = static_cast<u8>(memory.load(memory.wrap(w.address), 1));
  }
  return true;
}

// What stands in the words from `first` on.
Result<u64> Monitor::expression(const Words& w, std::size_t first) const {
  std::string text;
  for (std::size_t i = first; i < w.size(); ++i) text += w[i] + " ";
  return number(text);
}

std::string Monitor::examine_virtual(const Words& w) { return examine(w, false); }
std::string Monitor::examine_physical(const Words& w) { return examine(w, true); }

std::string Monitor::examine(const Words& w, bool physical) {
  const bool has_format = !w.empty() && w[0][0] == '/';
  auto f = parse_dump_format(has_format ? w[0] : "", last_format_);
  if (!f) return f.error() + "\n";
  auto start = expression(w, has_format ? 1 : 0);
  if (!start) return start.error() + "\n";
  last_format_ = *f;
  std::string out;
  u64 a = *start;
  const CodeSize size = links_.cpu->code_size();
  for (u32 n = 0; n < f->count;) {
    u8 bytes[kMaxInsnLength + 1] = {};
    const std::string where = format("%0*llx:", physical ? 16 : 8, static_cast<unsigned long long>(a));
    if (f->format == 'i') {
      u32 have = 0;
      while (have < kMaxInsnLength && read_guest(a + have, physical, bytes + have, 1)) ++have;
      const Decoded d = decode({bytes, have}, size, links_.cpu->model);
      if (have == 0 || d.truncated) return out + where + kUnreadable;
      const u32 length = std::max<u32>(d.insn.length, 1);
      std::string hex;
      for (u32 i = 0; i < length; ++i) hex += format("%02x ", bytes[i]);
      out += format("0x%08llx:  %-24s %s\n", static_cast<unsigned long long>(a), hex.c_str(),
                    disassemble(d.insn, static_cast<u32>(a), size).c_str());
      a += length;
      ++n;
      continue;
    }
    out += where;
    const u32 line = f->size == 1 ? 8 : 16 / f->size;
    for (const u32 line_end = std::min(f->count, n + line); n < line_end; ++n, a += f->size) {
      if (!read_guest(a, physical, bytes, f->size)) return out + kUnreadable;
      u64 value = 0;
      std::memcpy(&value, bytes, f->size);
      out += " " + format_number(value, *f, true);
    }
    out += "\n";
  }
  return out;
}

std::string Monitor::print(const Words& w) {
  const bool has_format = !w.empty() && w[0][0] == '/';
  DumpFormat whole{.format = last_format_.format, .size = 8};
  auto f = parse_dump_format(has_format ? w[0] : "", whole);
  if (!f) return f.error() + "\n";
  auto value = expression(w, has_format ? 1 : 0);
  if (!value) return value.error() + "\n";
  last_format_.format = f->format;
  return f->format == 'x' ? format("%#llx\n", static_cast<unsigned long long>(*value))
                          : format_number(*value, *f) + "\n";
}

std::string Monitor::memsave(const Words& w) { return save(w, false); }
std::string Monitor::pmemsave(const Words& w) { return save(w, true); }

std::string Monitor::save(const Words& w, bool physical) {
  if (w.size() != 3) return std::string("usage: ") + (physical ? "pmemsave" : "memsave") + " ADDRESS SIZE FILE\n";
  auto start = number(w[0]), size = number(w[1]);
  if (!start || !size) return (start ? size.error() : start.error()) + "\n";
  if (*size > u64{4} << 30) return "Error: at most 4 GiB can be saved\n";
  std::FILE* file = std::fopen(w[2].c_str(), "wb");
  if (file == nullptr) return "Error: cannot write '" + w[2] + "': " + std::strerror(errno) + "\n";
  std::string problem;
  std::vector<u8> buffer(64 * 1024);
  for (u64 done = 0; done < *size && problem.empty();) {
    const auto n = static_cast<u32>(std::min<u64>(buffer.size(), *size - done));
    if (!read_guest(*start + done, physical, buffer.data(), n)) {
      problem =
          format("Error: the memory from %#llx on is not mapped\n", static_cast<unsigned long long>(*start + done));
      break;
    }
    if (std::fwrite(buffer.data(), 1, n, file) != n)
      problem = "Error: cannot write '" + w[2] + "': " + std::strerror(errno) + "\n";
    done += n;
  }
  if (std::fclose(file) != 0 && problem.empty())
    problem = "Error: cannot write '" + w[2] + "': " + std::strerror(errno) + "\n";
  return problem;
}

std::string Monitor::port_in(const Words& w) {
  const bool has_format = !w.empty() && w[0][0] == '/';
  auto f = parse_dump_format(has_format ? w[0] : "", last_format_);
  if (!f) return f.error() + "\n";
  auto port = expression(w, has_format ? 1 : 0);
  if (!port) return port.error() + "\n";
  if (links_.ports == nullptr || f->size > 4 || *port > 0xffff)
    return "Error: a port is from 0 to 0xffff, and b, h or w wide\n";
  const u32 value = links_.ports->in(static_cast<u16>(*port), f->size);
  return format("port%c[0x%04x] = 0x%0*x\n", " bw l"[f->size], static_cast<unsigned>(*port),
                static_cast<int>(f->size * 2), value);
}

std::string Monitor::port_out(const Words& w) {
  const bool has_format = !w.empty() && w[0][0] == '/';
  auto f = parse_dump_format(has_format ? w[0] : "", last_format_);
  if (!f) return f.error() + "\n";
  if (w.size() != (has_format ? 3u : 2u)) return "usage: o /FMT PORT VALUE\n";
  auto port = number(w[w.size() - 2]), value = number(w.back());
  if (!port || !value) return (port ? value : port).error() + "\n";
  if (links_.ports == nullptr || f->size > 4 || *port > 0xffff)
    return "Error: a port is from 0 to 0xffff, and b, h or w wide\n";
  links_.ports->out(static_cast<u16>(*port), static_cast<u32>(*value), f->size);
  return "";
}

std::string Monitor::physical_address(const Words& w) {
  auto address = expression(w, 0);
  if (!address) return address.error() + "\n";
  Cpu& cpu = *links_.cpu;
  const Walk walk = umbra::probe(cpu.mmu.memory(), cpu.mmu.state(), Linear(static_cast<u32>(*address)));
  return walk.ok ? format("gpa: %#llx\n", static_cast<unsigned long long>(walk.address.value)) : "Unmapped\n";
}

// As sum(1) on BSD does it.
std::string Monitor::sum(const Words& w) {
  if (w.size() != 2) return "usage: sum ADDRESS SIZE\n";
  auto start = number(w[0]), size = number(w[1]);
  if (!start || !size) return (start ? size : start).error() + "\n";
  if (*size > u64{4} << 30) return "Error: at most 4 GiB can be summed up\n";
  u16 sum = 0;
  for (u64 i = 0; i < *size; ++i) {
    u8 byte = 0;
    read_guest(*start + i, true, &byte, 1);
    sum = static_cast<u16>((sum >> 1 | sum << 15) + byte);
  }
  return format("%05u\n", sum);
}

}  // namespace umbra
