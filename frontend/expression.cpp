#include "frontend/expression.h"

#include <cctype>
#include <cstdlib>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {
namespace {

// Recursive descent over C's operators; depth is bounded because the text is typed by anyone.
class Parser {
 public:
  Parser(const std::string& text, const Names& names) : text_(text), names_(names) {}

  Result<u64> run() {
    const u64 value = binary(0);
    skip();
    if (error_.empty() && position_ != text_.size()) fail("'" + text_.substr(position_) + "' is not expected here");
    if (!error_.empty()) return Error{error_};
    return value;
  }

 private:
  struct Operator {
    const char* text;
    int level;
  };
  static constexpr Operator kOperators[] = {{"||", 1}, {"&&", 2}, {"|", 3},  {"^", 4},  {"&", 5},  {"==", 6},
                                            {"!=", 6}, {"<<", 8}, {">>", 8}, {"<=", 7}, {">=", 7}, {"<", 7},
                                            {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};

  void fail(const std::string& why) {
    if (error_.empty()) error_ = why;
  }
  void skip() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }

  u64 binary(int level) {
    u64 left = unary();
    for (;;) {
      skip();
      const Operator* found = nullptr;
      for (const Operator& o : kOperators) {
        const bool here = text_.compare(position_, std::char_traits<char>::length(o.text), o.text) == 0;
        if (here &&
            (found == nullptr || std::char_traits<char>::length(found->text) < std::char_traits<char>::length(o.text)))
          found = &o;
      }
      if (found == nullptr || found->level <= level || !error_.empty()) return left;
      position_ += std::char_traits<char>::length(found->text);
      left = apply(found->text, left, binary(found->level));
    }
  }

  u64 apply(const std::string& op, u64 a, u64 b) {
    if ((op == "/" || op == "%") && b == 0) {
      fail("division by zero");
      return 0;
    }
    if (op == "||") return a != 0 || b != 0;
    if (op == "&&") return a != 0 && b != 0;
    if (op == "|") return a | b;
    if (op == "^") return a ^ b;
    if (op == "&") return a & b;
    if (op == "==") return a == b;
    if (op == "!=") return a != b;
    if (op == "<=") return a <= b;
    if (op == ">=") return a >= b;
    if (op == "<") return a < b;
    if (op == ">") return a > b;
    if (op == "<<") return b > 63 ? 0 : a << b;
    if (op == ">>") return b > 63 ? 0 : a >> b;
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    return op == "/" ? a / b : a % b;
  }

  u64 unary() {
    skip();
    if (++depth_ > 64) {
      fail("the expression is nested too deeply");
      return 0;
    }
    u64 value = 0;
    const char c = position_ < text_.size() ? text_[position_] : '\0';
    if (c == '-' || c == '~' || c == '!' || c == '+') {
      ++position_;
      const u64 v = unary();
      value = c == '-' ? 0 - v : c == '~' ? ~v : c == '!' ? u64{v == 0} : v;
    } else if (c == '(') {
      ++position_;
      value = binary(0);
      skip();
      if (position_ < text_.size() && text_[position_] == ')') {
        ++position_;
      } else {
        fail("a ')' is missing");
      }
    } else {
      value = primary();
    }
    --depth_;
    return value;
  }

  u64 primary() {
    if (position_ < text_.size() && text_[position_] == '$') {
      std::size_t end = position_ + 1;
      while (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 || text_[end] == '_'))
        ++end;
      const std::string name = text_.substr(position_ + 1, end - position_ - 1);
      position_ = end;
      if (const auto v = names_(name)) return *v;
      fail("there is no register '$" + name + "'");
      return 0;
    }
    const char* begin = text_.c_str() + position_;
    char* end = nullptr;
    const u64 value = std::isdigit(static_cast<unsigned char>(*begin)) != 0 ? std::strtoull(begin, &end, 0) : 0;
    if (end == nullptr || end == begin) {
      fail("a number or a $register is expected" + (*begin == 0 ? std::string() : " at '" + std::string(begin) + "'"));
      return 0;
    }
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  const std::string& text_;
  const Names& names_;
  std::size_t position_ = 0;
  unsigned depth_ = 0;
  std::string error_;
};

}  // namespace

Result<u64> evaluate(const std::string& text, const Names& names) { return Parser(text, names).run(); }

std::optional<u64> register_value(const CpuState& s, const std::string& name) {
  static const char* const kGeneral[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  for (unsigned i = 0; i < 8; ++i)
    if (name == kGeneral[i] || name == kGeneral[i] + 1) return static_cast<u32>(s.gpr[i]);  // $sp is $esp
  static const char* const kSegments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
  for (unsigned i = 0; i < kSegCount; ++i) {
    if (name == kSegments[i]) return s.seg[i].selector;
    if (name == std::string(kSegments[i]) + ".base") return s.seg[i].base;
  }
  if (name == "eip" || name == "pc") return (name == "pc" ? s.seg[kCs].base : 0) + static_cast<u32>(s.eip);
  if (name == "eflags") return s.eflags;
  if (name == "cr0") return s.cr0;
  if (name == "cr2") return s.cr2;
  if (name == "cr3") return s.cr3;
  if (name == "cr4") return s.cr4;
  return std::nullopt;
}

Result<DumpFormat> parse_dump_format(const std::string& text, DumpFormat previous) {
  DumpFormat f = previous;
  f.count = 1;
  std::size_t i = 0;
  if (i < text.size() && text[i] == '/') ++i;
  if (i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0) {
    u64 count = 0;
    while (i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0 && count < 1'000'000)
      count = count * 10 + static_cast<u64>(text[i++] - '0');
    if (count > 65536) return Error{"at most 65536 items can be shown at once"};
    f.count = static_cast<u32>(count);
  }
  for (; i < text.size(); ++i) {
    switch (text[i]) {
      case 'x':
      case 'd':
      case 'u':
      case 'o':
      case 'c':
      case 'i':
        f.format = text[i];
        break;
      case 'b':
        f.size = 1;
        break;
      case 'h':
        f.size = 2;
        break;
      case 'w':
        f.size = 4;
        break;
      case 'g':
        f.size = 8;
        break;
      default:
        return Error{"the format '" + text + "' is not /COUNT, one of x d u o c i, and one of b h w g"};
    }
  }
  if (f.format == 'c' && text.find_first_of("bhwg") == std::string::npos) f.size = 1;
  return f;
}

// As QEMU has it: what is smaller than eight bytes has no sign, and decimal and octal numbers in a dump stand in
// columns.
std::string format_number(u64 value, const DumpFormat& f, bool in_columns) {
  const unsigned bits = f.size * 8;
  if (bits < 64) value &= (u64{1} << bits) - 1;
  const auto v = static_cast<unsigned long long>(value);
  const int decimal = in_columns ? static_cast<int>((bits * 10 + 32) / 33) : 0;
  switch (f.format) {
    case 'd':
      return format("%*lld", decimal, static_cast<long long>(value));
    case 'u':
      return format("%*llu", decimal, v);
    case 'o':
      return format("%#*llo", in_columns ? static_cast<int>((bits + 2) / 3) : 0, v);
    case 'c':
      if (value == '\'' || value == '\\') return format("'\\%c'", static_cast<char>(value));
      if (value == '\n' || value == '\r') return value == '\n' ? "'\\n'" : "'\\r'";
      return value >= ' ' && value < 127 ? format("'%c'", static_cast<char>(value)) : format("'\\x%02llx'", v);
    default:
      return format("0x%0*llx", static_cast<int>(f.size * 2), v);
  }
}

}  // namespace umbra
