#include "tests/cpu/moo.h"

#include <zlib.h>

#include <bit>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace umbra {
namespace {

constexpr std::size_t kMaxFile = 1u << 30;

// A cursor over bytes that cannot leave them.
class Reader {
 public:
  Reader(const u8* data, std::size_t size) : data_(data), left_(size) {}
  bool failed() const { return failed_; }
  std::size_t left() const { return left_; }
  u32 number(unsigned size) {
    u32 v = 0;
    if (const u8* p = take(size)) std::memcpy(&v, p, size);
    return v;
  }
  const u8* take(std::size_t n) {
    if (n > left_) {
      failed_ = true;
      left_ = 0;
      return nullptr;
    }
    const u8* p = data_;
    data_ += n;
    left_ -= n;
    return p;
  }
  // The next chunk: its tag and its own reader.
  std::pair<std::string, Reader> chunk() {
    const u8* tag = take(4);
    const u32 size = number(4);
    const u8* body = take(size);
    if (body == nullptr || tag == nullptr) return {"", Reader(nullptr, 0)};
    return {std::string(reinterpret_cast<const char*>(tag), 4), Reader(body, size)};
  }

 private:
  const u8* data_;
  std::size_t left_;
  bool failed_ = false;
};

using R = MooRegs;
constexpr R::Name kOrder16[] = {R::kEax, R::kEbx, R::kEcx, R::kEdx, R::kCs,  R::kSs,  R::kDs,
                                R::kEs,  R::kEsp, R::kEbp, R::kEsi, R::kEdi, R::kEip, R::kFlags};
constexpr R::Name kOrder32[] = {R::kCr0, R::kCr3, R::kEax, R::kEbx,   R::kEcx, R::kEdx, R::kEsi,
                                R::kEdi, R::kEbp, R::kEsp, R::kCs,    R::kDs,  R::kEs,  R::kFs,
                                R::kGs,  R::kSs,  R::kEip, R::kFlags, R::kDr6, R::kDr7};

constexpr u32 kShutdown = 1u << 31;  // in the mask of 32-bit registers, and nothing else then

bool parse_regs(Reader r, std::span<const R::Name> order, unsigned size, MooRegs& regs) {
  const u32 mask = r.number(size) & ~kShutdown;
  for (unsigned i = 0; i < size * 8; ++i) {
    if (((mask >> i) & 1) == 0) continue;
    const u32 v = r.number(size);
    if (i < order.size()) regs.value[order[i]] = v;
  }
  return !r.failed();
}

// False if the chunk is one of masks, but cut off.
bool parse_masks(const std::string& tag, Reader body, MooRegs& masks) {
  if (tag == "RMSK") return parse_regs(body, kOrder16, 2, masks);
  return tag != "RM32" || parse_regs(body, kOrder32, 4, masks);
}

bool parse_state(Reader r, MooState& state) {
  while (r.left() > 0) {
    auto [tag, body] = r.chunk();
    if (r.failed()) return false;
    if (tag == "REGS" && !parse_regs(body, kOrder16, 2, state.regs)) return false;
    if (tag == "RG32") {
      state.shutdown = Reader(body).number(4) == kShutdown;
      if (!parse_regs(body, kOrder32, 4, state.regs)) return false;
    }
    if (!parse_masks(tag, body, state.masks)) return false;
    if (tag != "RAM ") continue;
    const u32 count = body.number(4);
    if (body.failed() || body.left() / 5 < count) return false;
    state.ram.resize(count);
    for (MooByte& b : state.ram) {
      b.address = body.number(4);
      b.value = static_cast<u8>(body.number(1));
    }
  }
  return true;
}

bool parse_test(Reader r, MooTest& test) {
  test.index = r.number(4);
  while (r.left() > 0 && !r.failed()) {
    auto [tag, body] = r.chunk();
    if (r.failed()) return false;
    if (tag == "NAME" || tag == "BYTS") {
      const u32 n = body.number(4);
      const u8* p = body.take(n);
      if (p == nullptr) return false;
      if (tag == "NAME") {
        test.name.assign(reinterpret_cast<const char*>(p), n);
      } else {
        test.bytes.assign(p, p + n);
      }
    }
    if (tag == "INIT" && !parse_state(body, test.initial)) return false;
    if (tag == "FINA" && !parse_state(body, test.final)) return false;
    if (tag == "HASH") {
      const u8* p = body.take(20);
      if (p == nullptr) return false;
      for (unsigned i = 0; i < 20; ++i) test.hash += {"0123456789abcdef"[p[i] >> 4], "0123456789abcdef"[p[i] & 15]};
    }
    if (tag == "EXCP") {
      test.exception = static_cast<u8>(body.number(1));
      body.number(4);  // where the flags were pushed, as the bus showed it: one too low for an odd stack
      if (body.failed()) return false;
    }
  }
  return !r.failed();
}

Result<std::vector<u8>> read_whole(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");  // reads plain files as they are
  if (file == nullptr) return Error{"cannot open '" + path + "'"};
  std::vector<u8> bytes;
  u8 buffer[65536];
  int n = 0;
  while ((n = gzread(file, buffer, sizeof buffer)) > 0 && bytes.size() < kMaxFile)
    bytes.insert(bytes.end(), buffer, buffer + n);
  int code = Z_OK;
  gzerror(file, &code);
  const bool complete = gzclose(file) == Z_OK && n == 0 && (code == Z_OK || code == Z_STREAM_END);
  if (!complete) return Error{"'" + path + "' is damaged or cut off: its gzip stream does not end well"};
  return bytes;
}

// --- flag masks
// ----------------------------------------------------------------------------------------------------------

// Just enough JSON: every number called "flags-mask", with the names on the way to it.
class JsonMasks {
 public:
  JsonMasks(const std::string& text, std::vector<std::pair<std::string, u32>>& out) : text_(text), out_(out) {}
  bool parse() { return value("", 0) && (skip(), at_ == text_.size()); }

 private:
  static constexpr unsigned kDepth = 32;
  void skip() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr) ++at_;
  }
  bool eat(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool string(std::string& out) {
    if (!eat('"')) return false;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) out += text_[at_];
    }
    return eat('"');
  }
  bool value(const std::string& path, unsigned depth) {
    skip();
    if (depth > kDepth || at_ >= text_.size()) return false;
    std::string ignored;
    if (text_[at_] == '"') return string(ignored);
    if (text_[at_] == '{' || text_[at_] == '[') return members(path, depth, text_[at_] == '{');
    std::size_t end = at_;
    while (end < text_.size() && std::strchr(",]} \t\r\n", text_[end]) == nullptr) ++end;
    const std::string token = text_.substr(at_, end - at_);
    const std::string suffix = "/flags-mask";
    if (path.ends_with(suffix)) note(path.substr(0, path.size() - suffix.size()), token);
    const bool some = end > at_;
    at_ = end;
    return some;
  }
  bool members(const std::string& path, unsigned depth, bool object) {
    ++at_;
    if (eat(object ? '}' : ']')) return true;
    do {
      std::string name;
      if (object && (!string(name) || !eat(':'))) return false;
      if (!value(object ? path + "/" + name : path, depth + 1)) return false;
    } while (eat(','));
    return eat(object ? '}' : ']');
  }
  void note(std::string path, const std::string& number) {  // /opcodes/80/reg/4 or /opcodes/27
    if (path.starts_with("/opcodes/")) path.erase(0, 9);
    if (const auto reg = path.find("/reg/"); reg != std::string::npos) path.replace(reg, 5, ".");
    out_.emplace_back(path, static_cast<u32>(std::strtoul(number.c_str(), nullptr, 10)));
  }

  const std::string& text_;
  std::vector<std::pair<std::string, u32>>& out_;
  std::size_t at_ = 0;
};

// 80386.csv: columns `op`, `ex` and `f_umask`, found by their names in the first line.
void parse_csv(const std::string& text, std::vector<std::pair<std::string, u32>>& out) {
  std::istringstream lines(text);
  std::string line;
  std::vector<std::string> header;
  while (std::getline(lines, line)) {
    std::vector<std::string> cells(1);
    for (char c : line) {
      if (c == ',') {
        cells.emplace_back();
      } else if (c != '\r' && c != '"') {
        cells.back() += c;
      }
    }
    if (header.empty()) {
      header = cells;
      continue;
    }
    std::string op, ex, mask;
    for (std::size_t i = 0; i < cells.size() && i < header.size(); ++i) {
      if (header[i] == "op") op = cells[i];
      if (header[i] == "ex") ex = cells[i];
      if (header[i] == "f_umask") mask = cells[i];
    }
    if (op.empty() || mask.empty()) continue;
    u32 bits = static_cast<u32>(std::strtoul(mask.c_str(), nullptr, 16)) | 0xffff0000;
    if (std::popcount(bits & 0xffff) < 8) bits = ~bits | 0xffff0000;  // given as the undefined flags
    out.emplace_back(ex.empty() ? op : op + "." + ex, bits);
  }
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"cannot open '" + path + "'"};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

const char* MooRegs::name(unsigned n) {
  constexpr const char* kNames[] = {"eax", "ebx", "ecx", "edx",   "cs", "ss", "ds",  "es",  "esp", "ebp",
                                    "esi", "edi", "eip", "flags", "fs", "gs", "cr0", "cr3", "dr6", "dr7"};
  return kNames[n];
}

Result<MooFile> parse_moo(const std::vector<u8>& bytes, const std::string& path) {
  const Error damaged{"'" + path + "' is not a MOO test file, or is cut off"};
  Reader r(bytes.data(), bytes.size());
  MooFile file;
  bool headed = false;
  u32 promised = 0;
  while (r.left() > 0) {
    auto [tag, body] = r.chunk();
    if (r.failed()) return damaged;
    if (tag == "MOO ") {
      const u32 major = body.number(1);
      body.take(3);
      promised = body.number(4);
      const u8* cpu = body.take(4);
      if (cpu == nullptr) return damaged;
      if (major != 1) return Error{"'" + path + "' is of MOO version " + std::to_string(major) + "; version 1 is read"};
      file.cpu.assign(reinterpret_cast<const char*>(cpu), 4);
      headed = true;
    } else if (tag == "RMSK" || tag == "RM32") {
      if (!parse_masks(tag, body, file.masks)) return damaged;
    } else if (tag == "TEST") {
      if (!headed || !parse_test(body, file.tests.emplace_back())) return damaged;
    }
  }
  if (!headed || file.tests.empty() || file.tests.size() < promised) return damaged;
  return file;
}

Result<MooFile> read_moo(const std::string& path) {
  auto bytes = read_whole(path);
  if (!bytes) return bytes.take_error();
  return parse_moo(*bytes, path);
}

Result<FlagMasks> FlagMasks::for_folder(const std::string& folder) {
  FlagMasks masks;
  const std::filesystem::path dir = folder.empty() ? "." : folder;
  std::error_code ignored;
  for (const auto& where : {dir, dir / ".."}) {
    if (std::filesystem::exists(where / "metadata.json", ignored)) {
      auto text = read_text((where / "metadata.json").string());
      if (!text) return text.take_error();
      if (!JsonMasks(*text, masks.masks_).parse())
        return Error{"'" + (where / "metadata.json").string() + "' is not JSON, or is cut off"};
      return masks;
    }
    for (const char* csv : {"80386.csv", "386.csv"}) {
      if (!std::filesystem::exists(where / csv, ignored)) continue;
      auto text = read_text((where / csv).string());
      if (!text) return text.take_error();
      parse_csv(*text, masks.masks_);
      return masks;
    }
  }
  return masks;
}

std::set<std::string> revoked_tests(const std::string& folder) {
  std::set<std::string> hashes;
  const std::filesystem::path dir = folder.empty() ? "." : folder;
  for (const auto& where : {dir, dir / ".."}) {
    std::ifstream in(where / "revocation_list.txt");
    for (std::string line; std::getline(in, line);) {
      while (!line.empty() && std::strchr("\r \t", line.back()) != nullptr) line.pop_back();
      for (char& c : line) c = static_cast<char>(std::tolower(c));
      if (line.size() == 40) hashes.insert(line);
    }
  }
  return hashes;
}

u32 FlagMasks::of(const std::string& file_name) const {
  std::string stem = file_name.substr(0, file_name.find(".MOO"));
  const auto find = [&](const std::string& key) -> std::optional<u32> {
    for (const auto& [name, mask] : masks_)
      if (name == key) return mask;
    return {};
  };
  for (;;) {  // 386 files put the size prefixes in front: 67660FBA.4
    const std::string op = stem.substr(0, stem.find('.'));
    if (const auto mask = find(stem)) return *mask;
    if (const auto mask = find(op)) return *mask;
    if (op.size() <= 2 || (!stem.starts_with("66") && !stem.starts_with("67"))) return ~0u;
    stem.erase(0, 2);
  }
}

}  // namespace umbra
