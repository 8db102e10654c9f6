#include "devices/board/direct_boot.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"
#include "roms/firmware.h"

// roms/direct_boot.asm, assembled by the build.
asm(".pushsection .rodata\n"
    "umbra_direct_boot_rom: .incbin \"" UMBRA_DIRECT_BOOT_ROM
    "\"\n"
    "umbra_direct_boot_rom_end:\n"
    ".popsection\n");
extern "C" const umbra::u8 umbra_direct_boot_rom[], umbra_direct_boot_rom_end[];

namespace umbra {
namespace {

constexpr u64 kMaxFile = u64{2} << 30;
constexpr u32 kSector = 512;
constexpr u32 kMegabyte = 0x100000;
constexpr u32 kFirmwareTop = 0x40000;  // SeaBIOS keeps its tables at the top of RAM

// Places in the ROM, see direct_boot.asm.
constexpr u32 kRomLength = 2, kRomEntry = 0x40, kRomInformation = 0x44, kPnp = 0x48, kPnpSize = 32, kPnpChecksum = 9;

u32 get(const std::vector<u8>& bytes, std::size_t at, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size && at + i < bytes.size(); ++i) value |= static_cast<u32>(bytes[at + i]) << (i * 8);
  return value;
}

void put(std::vector<u8>& bytes, std::size_t at, u32 value, unsigned size) {
  if (bytes.size() < at + size) bytes.resize(at + size);
  for (unsigned i = 0; i < size; ++i) bytes[at + i] = static_cast<u8>(value >> (i * 8));
}

void append_be(std::vector<u8>& bytes, u64 value, unsigned size) {
  for (unsigned i = size; i-- > 0;) bytes.push_back(static_cast<u8>(value >> (i * 8)));
}

void append_text(std::vector<u8>& bytes, const std::string& text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
}

std::vector<u8> slice(const std::vector<u8>& bytes, std::size_t from, std::size_t size) {
  from = std::min(from, bytes.size());
  size = std::min(size, bytes.size() - from);
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(from + size)};
}

u8 sum(const u8* from, std::size_t size) {
  u8 total = 0;
  for (std::size_t i = 0; i < size; ++i) total = static_cast<u8>(total + from[i]);
  return total;
}

// A piece of memory to be filled before the jump.
struct Piece {
  u64 address;
  std::vector<u8> bytes;
};

// The ROM with its table, and the pieces as items of fw_cfg.
DirectBoot build(u32 entry, u32 information, std::vector<Piece> pieces) {
  constexpr u32 kDmaRead = 2, kDmaSelect = 8;
  DirectBoot boot;
  std::vector<u8>& rom = boot.rom;
  rom.assign(umbra_direct_boot_rom, umbra_direct_boot_rom_end);
  put(rom, kRomEntry, entry, 4);
  put(rom, kRomInformation, information, 4);
  put(rom, rom.size(), static_cast<u32>(pieces.size()), 4);
  for (Piece& piece : pieces) {
    const u16 key = static_cast<u16>(DirectBoot::kFirstKey + boot.blobs.size());
    append_be(rom, static_cast<u32>(key) << 16 | kDmaSelect | kDmaRead, 4);
    append_be(rom, piece.bytes.size(), 4);
    append_be(rom, piece.address, 8);
    boot.blobs.push_back({key, std::move(piece.bytes)});
  }
  rom.resize(align_up<std::size_t>(rom.size() + 1, kSector));
  put(rom, kRomLength, static_cast<u32>(rom.size() / kSector), 1);
  put(rom, kPnp + kPnpChecksum, 0, 1);
  put(rom, kPnp + kPnpChecksum, 0u - sum(&rom[kPnp], kPnpSize), 1);
  rom.back() = static_cast<u8>(0u - sum(rom.data(), rom.size()));
  return boot;
}

// The text mode that the command line asks for with vga=, which is a boot loader's to heed; nothing if it does not.
Result<std::optional<u16>> video_mode(const std::string& command_line) {
  constexpr std::pair<std::string_view, u16> kNames[] = {{"normal", 0xffff}, {"ext", 0xfffe}, {"ask", 0xfffd}};
  const std::size_t at = (" " + command_line).find(" vga=");
  if (at == std::string::npos) return std::optional<u16>();
  const std::string value = command_line.substr(at + 4, command_line.find(' ', at + 4) - (at + 4));
  for (const auto& [name, mode] : kNames)
    if (value == name) return std::optional<u16>(mode);
  char* end = nullptr;
  const unsigned long mode = std::strtoul(value.c_str(), &end, 0);
  if (value.empty() || *end != '\0' || mode > 0xffff)
    return Error{"-append: 'vga=" + value + "' is no video mode; expected a number, normal, ext or ask"};
  return std::optional<u16>(static_cast<u16>(mode));
}

Result<DirectBoot> load_linux(std::vector<u8> image, const std::string& path, const std::string& initrd_path,
                              const std::string& append, u64 ram) {
  const u32 version = get(image, 0x206, 2);
  const u32 setup_sectors = get(image, 0x1f1, 1) == 0 ? 4 : get(image, 0x1f1, 1);
  const u32 setup_size = (setup_sectors + 1) * kSector;
  if (image.size() <= setup_size) return Error{"the kernel '" + path + "' is cut short"};
  const bool high = (get(image, 0x211, 1) & 1) != 0;
  const bool modern = version >= 0x202 && high;
  const u32 setup_at = modern ? 0x10000 : 0x90000;
  const u32 kernel_at = high ? kMegabyte : 0x10000;
  std::vector<u8> command_line;
  append_text(command_line, append);
  const u32 command_line_at = modern ? 0x20000 : 0x9a000 - align_up<u32>(static_cast<u32>(command_line.size()), 16);
  const u32 longest = version >= 0x206 ? get(image, 0x238, 4) : 255;
  if (append.size() > longest)
    return Error{
        format("the kernel takes a command line of at most %u characters; -append has %zu", longest, append.size())};

  std::vector<u8> setup = slice(image, 0, setup_size);
  std::vector<u8> kernel = slice(image, setup_size, image.size());
  const u64 kernel_end = u64{kernel_at} + kernel.size();
  if (kernel_end > ram - kFirmwareTop)
    return Error{"the kernel '" + path + "' does not fit in memory; give more with -m"};
  auto mode = video_mode(append);
  if (!mode) return mode.take_error();
  if (*mode) put(setup, 0x1fa, **mode, 2);
  put(setup, 0x210, 0xb0, 1);  // boot loader: QEMU's number, which kernels know
  if (version >= 0x201) {
    put(setup, 0x211, get(setup, 0x211, 1) | 0x80, 1);  // CAN_USE_HEAP
    put(setup, 0x224, (modern ? 0xe000u : 0x9800u) - 0x200, 2);
  }
  if (version >= 0x202) {
    put(setup, 0x228, command_line_at, 4);
  } else {
    put(setup, 0x20, 0xa33f, 2);
    put(setup, 0x22, command_line_at - setup_at, 2);
  }
  std::vector<Piece> pieces;
  if (!initrd_path.empty()) {
    auto initrd = read_rom(initrd_path, "initial RAM disk", 1, kMaxFile);
    if (!initrd) return initrd.take_error();
    const u64 highest = version >= 0x203 ? get(image, 0x22c, 4) : 0x37ffffff;
    const u64 top = std::min<u64>(highest + 1, ram - kFirmwareTop);
    if (initrd->size() > top || top - initrd->size() < kernel_end)
      return Error{"the initial RAM disk '" + initrd_path + "' does not fit in memory; give more with -m"};
    const u64 at = align_down<u64>(top - initrd->size(), 4096);
    put(setup, 0x218, static_cast<u32>(at), 4);
    put(setup, 0x21c, static_cast<u32>(initrd->size()), 4);
    pieces.push_back({at, std::move(*initrd)});
  }
  pieces.push_back({setup_at, std::move(setup)});
  pieces.push_back({kernel_at, std::move(kernel)});
  pieces.push_back({command_line_at, std::move(command_line)});
  return build(setup_at >> 4, 0, std::move(pieces));
}

// --- Multiboot 1 -----------------------------------------------------------------------------------------------------

constexpr u32 kMultibootMagic = 0x1badb002;
constexpr u32 kMultibootInformation = 0x9000, kEndOfLow = 0xa0000;

std::optional<u32> multiboot_header(const std::vector<u8>& image) {
  const std::size_t end = std::min<std::size_t>(image.size(), 8192);
  for (u32 at = 0; at + 12 <= end; at += 4) {
    if (get(image, at, 4) == kMultibootMagic && get(image, at, 4) + get(image, at + 4, 4) + get(image, at + 8, 4) == 0)
      return at;
  }
  return {};
}

struct Loaded {
  u32 entry = 0;
  u64 end = 0;  // of all that the kernel takes
  std::vector<Piece> pieces;
};

Result<Loaded> load_elf(const std::vector<u8>& image, const std::string& path) {
  constexpr u32 kElfMagic = 0x464c457f, kElf32Little = 0x0101, kLoad = 1;
  if (get(image, 0, 4) != kElfMagic || get(image, 4, 2) != kElf32Little)
    return Error{"the Multiboot kernel '" + path + "' is neither a 32-bit ELF file nor does it say where to load it"};
  Loaded out;
  out.entry = get(image, 24, 4);
  const u32 table = get(image, 28, 4), entry_size = get(image, 42, 2), count = get(image, 44, 2);
  for (u32 i = 0; i < count; ++i) {
    const std::size_t p = table + std::size_t{i} * entry_size;
    if (get(image, p, 4) != kLoad) continue;
    const u32 offset = get(image, p + 4, 4), at = get(image, p + 12, 4), in_file = get(image, p + 16, 4);
    const u32 in_memory = get(image, p + 20, 4), virtual_at = get(image, p + 8, 4);
    if (u64{offset} + in_file > image.size()) return Error{"the kernel '" + path + "' is cut short"};
    Piece piece{at, slice(image, offset, in_file)};
    piece.bytes.resize(std::max<std::size_t>(std::min<u64>(in_memory, kMaxFile), in_file));
    out.end = std::max(out.end, at + u64{piece.bytes.size()});
    // The entry point may be given as a virtual address.
    if (virtual_at != at && out.entry >= virtual_at && out.entry - virtual_at < in_memory)
      out.entry = out.entry - virtual_at + at;
    if (!piece.bytes.empty()) out.pieces.push_back(std::move(piece));
  }
  return out;
}

Result<Loaded> load_by_header(const std::vector<u8>& image, u32 header, const std::string& path) {
  Loaded out;
  const u32 header_addr = get(image, header + 12, 4), load_addr = get(image, header + 16, 4);
  const u32 load_end = get(image, header + 20, 4), bss_end = get(image, header + 24, 4);
  out.entry = get(image, header + 28, 4);
  const u32 lead = header_addr - load_addr;
  if (header_addr < load_addr || lead > header)
    return Error{"the Multiboot header of '" + path + "' contradicts itself"};
  const std::size_t size = load_end == 0 ? image.size() : load_end - load_addr;
  Piece piece{load_addr, slice(image, header - lead, size)};
  if (bss_end > load_addr + piece.bytes.size()) piece.bytes.resize(bss_end - load_addr);
  out.end = load_addr + u64{piece.bytes.size()};
  out.pieces.push_back(std::move(piece));
  return out;
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(by, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<DirectBoot> load_multiboot(const std::vector<u8>& image, u32 header, const std::string& path,
                                  const std::string& modules, const std::string& append, u64 ram) {
  constexpr u32 kAddressesValid = 1u << 16;
  auto loaded =
      (get(image, header + 4, 4) & kAddressesValid) != 0 ? load_by_header(image, header, path) : load_elf(image, path);
  if (!loaded) return loaded.take_error();
  u64 at = align_up<u64>(loaded->end, 4096);

  struct Module {
    u64 start, end;
    std::string line;
  };
  std::vector<Module> list;
  for (const std::string& line : split(modules, ',')) {
    auto bytes = read_rom(line.substr(0, line.find(' ')), "module", 1, kMaxFile);
    if (!bytes) return bytes.take_error();
    list.push_back({at, at + bytes->size(), line});
    const u64 next = align_up<u64>(at + bytes->size(), 4096);
    loaded->pieces.push_back({at, std::move(*bytes)});
    at = next;
  }
  if (at > ram - kFirmwareTop)
    return Error{"the kernel '" + path + "' and its modules do not fit in memory; give more with -m"};

  // The information structure, then what it points to. A kernel that takes low memory itself finds it behind all else.
  const bool taken = std::any_of(loaded->pieces.begin(), loaded->pieces.end(), [](const Piece& piece) {
    return piece.address < kEndOfLow && piece.address + piece.bytes.size() > kMultibootInformation;
  });
  const u32 information = taken ? static_cast<u32>(at) : kMultibootInformation;
  std::vector<u8> info(120);
  const auto here = [&] { return information + static_cast<u32>(info.size()); };
  constexpr u32 kMemory = 1, kBootDevice = 2, kCommandLine = 4, kModules = 8, kMemoryMap = 64, kLoaderName = 512;
  put(info, 0, kMemory | kBootDevice | kCommandLine | kModules | kMemoryMap | kLoaderName, 4);
  put(info, 4, 639, 4);
  put(info, 8, static_cast<u32>((ram - kMegabyte - kFirmwareTop) / 1024), 4);  // up to the first hole
  put(info, 12, 0x8000ffff, 4);  // the first disk, no partition in particular: what QEMU says
  put(info, 16, here(), 4);
  append_text(info, append.empty() ? path : path + " " + append);
  put(info, 64, here(), 4);
  append_text(info, "Umbra");
  std::vector<u32> lines;
  for (const Module& m : list) {
    lines.push_back(here());
    append_text(info, m.line);
  }
  info.resize(align_up<std::size_t>(info.size(), 4));
  put(info, 20, static_cast<u32>(list.size()), 4);
  put(info, 24, here(), 4);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::size_t entry = info.size();
    put(info, entry, static_cast<u32>(list[i].start), 4);
    put(info, entry + 4, static_cast<u32>(list[i].end), 4);
    put(info, entry + 8, lines[i], 4);
    put(info, entry + 12, 0, 4);
  }
  const struct {
    u64 at, size;
    u32 type;
  } map[] = {{0, 0x9fc00, 1},
             {0x9fc00, 0x400, 2},
             {0xf0000, 0x10000, 2},
             {kMegabyte, ram - kMegabyte - kFirmwareTop, 1},
             {ram - kFirmwareTop, kFirmwareTop, 2},
             {0xfffc0000, 0x40000, 2}};
  put(info, 48, here(), 4);
  for (const auto& range : map) {
    const std::size_t entry = info.size();
    put(info, entry, 20, 4);
    put(info, entry + 4, static_cast<u32>(range.at), 4);
    put(info, entry + 8, 0, 4);
    put(info, entry + 12, static_cast<u32>(range.size), 4);
    put(info, entry + 16, 0, 4);
    put(info, entry + 20, range.type, 4);
  }
  put(info, 44, static_cast<u32>(std::size(map)) * 24, 4);
  loaded->pieces.push_back({information, std::move(info)});
  return build(loaded->entry, information, std::move(loaded->pieces));
}

}  // namespace

Result<DirectBoot> DirectBoot::load(const std::string& kernel, const std::string& initrd, const std::string& append,
                                    u64 ram) {
  constexpr u32 kLinuxHeader = 0x53726448;  // "HdrS"
  auto image = read_rom(kernel, "kernel", 1, kMaxFile);
  if (!image) return image.take_error();
  if (const auto header = multiboot_header(*image)) return load_multiboot(*image, *header, kernel, initrd, append, ram);
  if (get(*image, 0x202, 4) != kLinuxHeader || get(*image, 0x1fe, 2) != 0xaa55)
    return Error{"'" + kernel + "' is neither a Linux kernel (bzImage) nor a Multiboot one"};
  return load_linux(std::move(*image), kernel, initrd, append, ram);
}

}  // namespace umbra
