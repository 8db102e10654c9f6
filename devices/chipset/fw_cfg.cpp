#include "devices/chipset/fw_cfg.h"

#include <algorithm>
#include <bit>

namespace umbra {
namespace {

constexpr u32 kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16;
constexpr char kDmaSignature[] = "QEMU CFG";
constexpr u32 kMostPadding = 16u << 20;  // zeros a guest may ask for beyond an item's end
constexpr std::size_t kNameSize = 56;

void put_be(std::vector<u8>& to, u64 value, unsigned size) {
  for (unsigned i = size; i-- > 0;) to.push_back(static_cast<u8>(value >> (i * 8)));
}

u64 get_be(const u8* from, unsigned size) {
  u64 value = 0;
  for (unsigned i = 0; i < size; ++i) value = value << 8 | from[i];
  return value;
}

u32 swap(u32 v) { return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24; }

}  // namespace

FwCfg::FwCfg(GuestMemory& memory) : memory_(memory) {
  add(kSignature, {'Q', 'E', 'M', 'U'});
  add_number(kId, 3, 4);  // the traditional interface and DMA
  rebuild_directory();
}

void FwCfg::add_number(u16 key, u64 value, unsigned size) {
  std::vector<u8> bytes;
  for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<u8>(value >> (i * 8)));
  add(key, std::move(bytes));
}

u16 FwCfg::add_file(std::string_view name, std::vector<u8> bytes) {
  const auto key = static_cast<u16>(kFirstFile + files_.size());
  files_.push_back({std::string(name.substr(0, kNameSize - 1)), key});
  add(key, std::move(bytes));
  rebuild_directory();
  return key;
}

// The directory is sorted by name, so that its order does not depend on how the machine was put together.
void FwCfg::rebuild_directory() {
  std::vector<const File*> sorted;
  for (const File& f : files_) sorted.push_back(&f);
  std::ranges::sort(sorted, {}, [](const File* f) -> const std::string& { return f->name; });
  std::vector<u8> directory;
  put_be(directory, sorted.size(), 4);
  for (const File* f : sorted) {
    put_be(directory, items_[f->key].size(), 4);
    put_be(directory, f->key, 2);
    put_be(directory, 0, 2);
    std::string name = f->name;
    name.resize(kNameSize, '\0');
    directory.insert(directory.end(), name.begin(), name.end());
  }
  add(kFileDirectory, std::move(directory));
}

void FwCfg::reset() { r_ = Regs{}; }

void FwCfg::state(Archive& a) { a("selected", r_.selected)("offset", r_.offset)("dma_address", r_.dma_address); }

const std::vector<u8>* FwCfg::item() const {
  const auto found = items_.find(r_.selected);
  return found == items_.end() ? nullptr : &found->second;
}

void FwCfg::select(u16 key) {
  r_.selected = key & 0xbfff;  // bit 14: the write channel, which is no more
  r_.offset = 0;
}

u32 FwCfg::read(u32 offset, unsigned) {
  if (offset == 0) return 0;  // the selector is write-only
  const std::vector<u8>* bytes = item();
  if (bytes == nullptr || r_.offset >= bytes->size()) return 0;
  return (*bytes)[r_.offset++];
}

void FwCfg::write(u32 offset, u32 value, unsigned size) {
  if (offset == 0 && size == 2) select(static_cast<u16>(value));
}

u32 FwCfg::dma_read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size && offset + i < 8; ++i)
    value |= static_cast<u32>(static_cast<u8>(kDmaSignature[offset + i])) << (i * 8);
  return value;
}

void FwCfg::dma_write(u32 offset, u32 value, unsigned size) {
  if (size != 4) return;
  if (offset == 0) {
    r_.dma_address = static_cast<u64>(swap(value)) << 32;
  } else if (offset == 4) {
    const Phys descriptor(r_.dma_address | swap(value));
    r_.dma_address = 0;
    run_dma(descriptor);
  }
}

void FwCfg::run_dma(Phys at) {
  u8 descriptor[16];
  memory_.read(at, descriptor, sizeof descriptor);
  const u32 control = static_cast<u32>(get_be(descriptor, 4));
  const u32 length = static_cast<u32>(get_be(descriptor + 4, 4));
  const Phys address(get_be(descriptor + 8, 8));
  bool ok = true;
  if ((control & kSelect) != 0) select(static_cast<u16>(control >> 16));
  if ((control & kRead) != 0) {
    ok = copy_out(address, length);
  } else if ((control & kWrite) != 0) {
    ok = false;
  } else if ((control & kSkip) != 0) {
    r_.offset = static_cast<u32>(std::min<u64>(u64{r_.offset} + length, 0xffffffff));
  }
  const u8 result[4] = {0, 0, 0, static_cast<u8>(ok ? 0 : kError)};
  memory_.write(at, result, sizeof result);
}

// Bytes of the item, then zeros.
bool FwCfg::copy_out(Phys to, u32 length) {
  const std::vector<u8>* bytes = item();
  const u32 size = bytes == nullptr ? 0 : static_cast<u32>(bytes->size());
  const u32 held = r_.offset < size ? std::min(length, size - r_.offset) : 0;
  if (held != 0) memory_.write(to, bytes->data() + r_.offset, held);
  r_.offset += held;
  u32 left = length - held;
  if (left > kMostPadding) return false;
  static constexpr u8 kZeros[4096] = {};
  for (Phys at = to + held; left != 0;) {
    const u32 n = std::min<u32>(left, sizeof kZeros);
    memory_.write(at, kZeros, n);
    at += n;
    left -= n;
  }
  return true;
}

std::vector<std::pair<std::string, std::size_t>> FwCfg::files() const {
  std::vector<std::pair<std::string, std::size_t>> out;
  for (const File& f : files_) out.emplace_back(f.name, items_.at(f.key).size());
  return out;
}

}  // namespace umbra
