// -kernel through SeaBIOS: Linux' boot protocol with a setup sector of ours, Multiboot 1, and what is refused.
#include <catch2/catch.hpp>

#include "tests/board/board_rig.h"
#include "tests/devices/temp_folder.h"

using namespace umbra;

namespace {

using Bytes = std::vector<u8>;

void put(Bytes& to, std::size_t at, u32 value, unsigned size) {
  if (to.size() < at + size) to.resize(at + size);
  for (unsigned i = 0; i < size; ++i) to[at + i] = static_cast<u8>(value >> (i * 8));
}
void put(Bytes& to, std::size_t at, const Bytes& code) {
  if (to.size() < at + code.size()) to.resize(at + code.size());
  std::copy(code.begin(), code.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
}
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

constexpr int kExitCode = 0x21;

// A "kernel" whose setup code says its command line on COM1, then where and how large the RAM disk is, and exits.
Bytes linux_kernel() {
  Bytes k(3 * 512);
  put(k, 0x1f1, 1, 1);  // one setup sector after the first
  put(k, 0x1fe, 0xaa55, 2);
  put(k, 0x200, 0x7eeb, 2);  // jmp to 280h
  put(k, 0x202, 0x53726448, 4);
  put(k, 0x206, 0x0206, 2);
  put(k, 0x211, 1, 1);  // loaded high
  put(k, 0x22c, 0x7fffffff, 4);
  put(k, 0x238, 64, 4);
  put(k, 0x280, Bytes{0xba, 0xf8, 0x03,              // mov dx, 3f8h
                      0x66, 0x8b, 0x36, 0x28, 0x02,  // mov esi, [cmd_line_ptr]
                      0x66, 0xc1, 0xee, 0x04,        // shr esi, 4
                      0x8e, 0xc6,                    // mov es, si
                      0x31, 0xf6,                    // xor si, si
                      0x26, 0x8a, 0x04,              // again: mov al, [es:si]
                      0x46,                          // inc si
                      0x84, 0xc0,                    // test al, al
                      0x74, 0x03,                    // jz on
                      0xee,                          // out dx, al
                      0xeb, 0xf5,                    // jmp again
                      0xa0, 0x1c, 0x02,              // on: mov al, [ramdisk_size]
                      0xee,                          // out dx, al
                      0xa0, 0x10, 0x02,              // mov al, [type_of_loader]
                      0xee,                          // out dx, al
                      0xba, 0x01, 0x05, 0xb0, 0x10, 0xee, 0xf4});
  return k;
}

constexpr u32 kLoadAt = 0x200000;

// A flat Multiboot kernel that says its command line, then the first module's first byte, and exits.
Bytes multiboot_kernel(u32 load_at = kLoadAt, u32 size = 0x1000) {
  constexpr u32 kFlags = 0x00010003;
  Bytes k(48);
  put(k, 0, 0x1badb002, 4);
  put(k, 4, kFlags, 4);
  put(k, 8, 0u - 0x1badb002 - kFlags, 4);
  put(k, 12, load_at, 4);
  put(k, 16, load_at, 4);
  put(k, 20, 0, 4);
  put(k, 24, load_at + size, 4);
  put(k, 28, load_at + 48, 4);
  put(k, 48, Bytes{0x3d, 0x02, 0xb0, 0xad, 0x2b,              // cmp eax, 2badb002h
                   0x75, 0x27,                                // jne end
                   0x66, 0xba, 0xf8, 0x03,                    // mov dx, 3f8h
                   0x8b, 0x73, 0x10,                          // mov esi, [ebx + 16]
                   0xac,                                      // again: lodsb
                   0x84, 0xc0,                                // test al, al
                   0x74, 0x03,                                // jz on
                   0xee,                                      // out dx, al
                   0xeb, 0xf8,                                // jmp again
                   0x8b, 0x73, 0x18,                          // on: mov esi, [ebx + 24]
                   0x8b, 0x36,                                // mov esi, [esi]
                   0xac,                                      // lodsb
                   0xee,                                      // out dx, al
                   0x8a, 0x43, 0x14,                          // mov al, [ebx + 20]: modules
                   0x04, 0x30,                                // add al, '0'
                   0xee,                                      // out dx, al
                   0x66, 0xba, 0x01, 0x05, 0xb0, 0x10, 0xee,  // exit
                   0xf4, 0xeb, 0xfd});
  return k;
}

MachineConfig config_of(const std::string& kernel, const std::string& initrd, const std::string& append) {
  MachineConfig c = BoardRig::config();
  c.kernel = kernel;
  c.initrd = initrd;
  c.append = append;
  c.debug_exit = DebugExitConfig{0x501, 2};
  return c;
}

}  // namespace

TEST_CASE("A Linux kernel gets its command line and its RAM disk") {
  TempFolder folder;
  const std::string kernel = folder.write("vmlinuz", text_of(linux_kernel()));
  const std::string initrd = folder.write("initrd", std::string(0x41, 'i'));
  BoardRig rig(config_of(kernel, initrd, "console=ttyS0 quiet"));
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);
  CHECK(rig.run_until([] { return false; }, 30) == kExitCode);
  CHECK(rig.serial == "console=ttyS0 quietA\xb0");
  // The pieces are where the protocol wants them.
  std::string disk(4, ' ');
  const u32 at = static_cast<u32>(rig.machine->memory().load(Phys(0x10218), 4));
  CHECK(at % 4096 == 0);
  rig.machine->memory().read(Phys(at), disk.data(), 4);
  CHECK(disk == "iiii");
}

TEST_CASE("A Linux kernel is told the video mode of its command line") {
  TempFolder folder;
  const std::string kernel = folder.write("vmlinuz", text_of(linux_kernel()));
  const struct {
    const char* words;
    u16 mode;
  } cases[] = {
      {"quiet vga=788", 788}, {"vga=0x317 x", 0x317}, {"vga=ask", 0xfffd}, {"vga=normal", 0xffff}, {"nvga=1", 0}};
  for (const auto& c : cases) {
    INFO(c.words);
    BoardRig rig(config_of(kernel, "", c.words));
    REQUIRE(rig.machine != nullptr);
    CHECK(rig.run_until([] { return false; }, 30) == kExitCode);
    CHECK(rig.machine->memory().load(Phys(0x101fa), 2) == c.mode);
  }
  CHECK(BoardRig(config_of(kernel, "", "vga=wide")).error.find("no video mode") != std::string::npos);
}

TEST_CASE("A Multiboot kernel gets its information structure and modules") {
  TempFolder folder;
  const std::string kernel = folder.write("kernel", text_of(multiboot_kernel()));
  const std::string first = folder.write("first", "Q and more"), second = folder.write("second", "x");
  BoardRig rig(config_of(kernel, first + " with arguments," + second, "verbose"));
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);
  CHECK(rig.run_until([] { return false; }, 30) == kExitCode);
  CHECK(rig.serial == kernel + " verboseQ2");
  // mem_upper ends where the map of memory does: a kernel may take either.
  PhysicalMemory& memory = rig.machine->memory();
  const u32 information = rig.machine->cpu().s.r32(3);
  const auto field = [&](u32 address) { return static_cast<u32>(memory.load(Phys(address), 4)); };
  CHECK((field(information) & 2) != 0);
  CHECK(field(information + 12) == 0x8000ffff);
  u32 end_of_memory = 0;
  for (u32 at = field(information + 48), end = at + field(information + 44); at < end; at += field(at) + 4)
    if (field(at + 4) == 0x100000 && field(at + 20) == 1) end_of_memory = field(at + 4) + field(at + 12);
  CHECK(end_of_memory > 0x100000);
  CHECK(field(information + 8) == (end_of_memory - 0x100000) / 1024);
}

TEST_CASE("A Multiboot kernel in low memory keeps all of it") {
  constexpr u32 kAt = 0x8000, kSize = 0x6000;
  TempFolder folder;
  Bytes image = multiboot_kernel(kAt, kSize);
  for (std::size_t at = image.size(); at < kSize; ++at) image.push_back(0x5a);
  const std::string kernel = folder.write("kernel", text_of(image)), module = folder.write("module", "Q");
  BoardRig rig(config_of(kernel, module, "low"));
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);
  CHECK(rig.run_until([] { return false; }, 30) == kExitCode);
  CHECK(rig.serial == kernel + " lowQ1");
  std::vector<u8> memory(kSize);
  rig.machine->memory().read(Phys(kAt), memory.data(), kSize);
  CHECK(std::equal(memory.begin(), memory.end(), image.begin()));
}

TEST_CASE("What is no kernel, cut short, too large, or has too long a command line is refused in a sentence") {
  TempFolder folder;
  const auto error = [&](const std::string& content, const std::string& append = "") {
    return BoardRig(config_of(folder.write("kernel", content), "", append)).error;
  };
  CHECK(error(std::string(4096, 'x')).find("neither a Linux kernel") != std::string::npos);
  CHECK(error(text_of(linux_kernel()).substr(0, 1024)).find("cut short") != std::string::npos);
  CHECK(error(text_of(linux_kernel()), std::string(100, 'a')).find("at most 64") != std::string::npos);
  CHECK(error(text_of(linux_kernel()) + std::string(70u << 20, 'k')).find("give more with -m") != std::string::npos);
  Bytes broken = multiboot_kernel();
  put(broken, 4, 0x00000003, 4);
  put(broken, 8, 0u - 0x1badb002 - 3u, 4);
  CHECK(error(text_of(broken) + std::string(512, '\0')).find("32-bit ELF") != std::string::npos);
}
